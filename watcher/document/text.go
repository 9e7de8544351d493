package document

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// String prints a value as Java's String.valueOf does: {a=1, b=[x, y]}, 1.0E10,
// null. Templates print so.
func String(v any) string {
	var b strings.Builder
	appendString(&b, v)
	return b.String()
}

func appendString(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(v)
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(javaDouble(v))
	case time.Time:
		b.WriteString(javaTime(v))
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			appendString(b, e)
		}
		b.WriteByte(']')
	case *Object:
		b.WriteByte('{')
		first := true
		for k, e := range v.All() {
			if !first {
				b.WriteString(", ")
			}
			first = false
			b.WriteString(k + "=")
			appendString(b, e)
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v)
	}
}

// javaDouble is Double.toString: plain between 1e-3 and 1e7, else with an
// exponent, and always with a fraction.
// https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/lang/Double.html#toString(double)
func javaDouble(f float64) string {
	switch size := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case size == 0 || size >= 1e-3 && size < 1e7:
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	default:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent) // FormatFloat's own
		return mantissa + "E" + strconv.Itoa(n)
	}
}

// jsonFloat writes a float so that it reads back as one: 1.0, not 1.
func jsonFloat(f float64) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("write JSON value: %v is not a number that JSON has", f)
	}
	return javaDouble(f), nil
}

// javaTime is ZonedDateTime.toString in UTC: seconds and their fraction are left
// out where they are zero, and the fraction has 3, 6 or 9 digits.
func javaTime(t time.Time) string {
	t = t.UTC()
	layout := "2006-01-02T15:04:05.000000000Z"
	switch ns := t.Nanosecond(); {
	case ns == 0 && t.Second() == 0:
		layout = "2006-01-02T15:04Z"
	case ns == 0:
		layout = "2006-01-02T15:04:05Z"
	case ns%1e6 == 0:
		layout = "2006-01-02T15:04:05.000Z"
	case ns%1e3 == 0:
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return t.Format(layout)
}

// Kind names a value's JSON type for an error.
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string, time.Time:
		return "a string"
	case bool:
		return "a boolean"
	case int64, float64, *big.Int:
		return "a number"
	case []any:
		return "an array"
	case *Object:
		return "an object"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// Token names a value as Elasticsearch's parsers name the token that it begins
// with.
func Token(v any) string {
	switch v.(type) {
	case nil:
		return "VALUE_NULL"
	case bool:
		return "VALUE_BOOLEAN"
	case string, time.Time:
		return "VALUE_STRING"
	case []any:
		return "START_ARRAY"
	case *Object:
		return "START_OBJECT"
	default:
		return "VALUE_NUMBER"
	}
}

// From turns what encoding/json can write (maps, structs, slices) into a value
// of this package. Maps of Go have no order: their keys are sorted.
func From(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write JSON value: %w", err)
	}
	return Parse(data)
}

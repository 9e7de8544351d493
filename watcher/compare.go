package watcher

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/datemath"
	"pharos/watcher/document"
)

// operator compares what a path leads to with what a watch says.
type operator string

func parseOperator(name string) (operator, bool) {
	switch op := operator(name); op {
	case "eq", "not_eq", "lt", "lte", "gt", "gte":
		return op, true
	}
	return "", false
}

// holds reports whether a stands to b as the operator says. Values that have no
// order of their own are neither less nor greater.
func (op operator) holds(a, b any) bool {
	order, comparable := lenient(a, b)
	switch op {
	case "eq":
		return comparable && order == 0
	case "not_eq":
		return !comparable || order != 0
	case "lt":
		return comparable && order < 0
	case "lte":
		return comparable && order <= 0
	case "gt":
		return comparable && order > 0
	default:
		return comparable && order >= 0
	}
}

// lenient compares as Elastic's LenientCompare does: the second value, which the
// watch gives, decides as what the first is read (a number, a string or a date).
// ok is false where they are different and have no order.
func lenient(a, b any) (order int, ok bool) {
	if a == nil || b == nil {
		return 0, a == nil && b == nil
	}
	switch b := b.(type) {
	case string:
		return strings.Compare(document.String(a), b), true
	case time.Time:
		t, ok := date(a)
		return t.Compare(b), ok
	}
	if y, isNumber := number(b); isNumber {
		x, ok := number(a)
		if !ok {
			x, ok = parseDouble(document.String(a))
		}
		switch {
		case !ok:
			return 0, false
		case x > y:
			return 1, true
		case x < y:
			return -1, true
		}
		return 0, true
	}
	return 0, equal(a, b)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case fmt.Stringer: // *big.Int; time.Time, too, but that is no number's text
		return parseDouble(v.String())
	}
	return 0, false
}

// parseDouble reads a number as Double.valueOf does: spaces around it are free,
// hexadecimal digits and underscores are not Java's or rare.
func parseDouble(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "_xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || f != 0 // out of range is an infinity, as in Java
}

func date(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case string:
		t, err := datemath.Resolve(v, time.Time{})
		return t, err == nil && !strings.HasPrefix(v, "now")
	}
	ms, ok := number(v)
	return time.UnixMilli(int64(ms)), ok
}

// equal is Java's equals over whole structures, where the order of keys does not
// count.
func equal(a, b any) bool {
	switch a := a.(type) {
	case *document.Object:
		b, ok := b.(*document.Object)
		if !ok || a.Len() != b.Len() {
			return false
		}
		for key, v := range a.All() {
			if other, there := b.Get(key); !there || !equal(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case string, bool, int64, float64, nil:
		return a == b
	default:
		return document.String(a) == document.String(b)
	}
}

// reference is a compared value that names another place of the context.
var reference = regexp.MustCompile(`^\{\{(.+)\}\}$`)

// resolve finds the value to compare with: date math (<{now-5m}>), another path
// ({{ctx.payload.limit}}) or the value itself. What was looked up goes into
// resolved.
func resolve(v any, model *document.Object, now time.Time, resolved *document.Object) (any, error) {
	text, ok := v.(string)
	if !ok {
		return v, nil
	}
	if expr, ok := datemath.Embedded(text); ok {
		t, err := datemath.Resolve(expr, now)
		if err != nil {
			return nil, document.NewError(400, "parse_exception", "failed to parse date field ["+expr+"] with format [strict_date_optional_time||epoch_millis]")
		}
		resolved.Set(expr, t)
		return t, nil
	}
	if m := reference.FindStringSubmatch(text); m != nil {
		found := document.At(model, m[1])
		resolved.Set(m[1], found)
		return found, nil
	}
	return v, nil
}

// compareCondition compares what a path leads to.
type compareCondition struct {
	path string
	op   operator
	with any
}

// compare reads {path: {operator: value}}. More than one path is refused: Elastic
// takes them and looks at the last alone.
func (p *parser) compare(path string, v any) (condition, error) {
	about := subject("could not parse [compare] condition for watch [" + p.id + "]. ")
	o, ok := v.(*document.Object)
	switch {
	case !ok:
		return nil, about.at(path, "expected an object but found [%s] instead", document.Token(v))
	case o.Len() != 1:
		return nil, about.at(path, "expected one field indicating the compared path, but found %d", o.Len())
	}
	c := &compareCondition{}
	for key, v := range o.All() {
		at := document.Join(path, key)
		one, ok := v.(*document.Object)
		if !ok {
			return nil, about.at(at, "expected an object for field [%s] but found [%s] instead", key, document.Token(v))
		}
		if one.Len() == 0 {
			return nil, about.at(at, "expected a field indicating the comparison operator, but found [END_OBJECT] instead")
		}
		for name, value := range one.All() {
			op, ok := parseOperator(name)
			switch {
			case !ok:
				return nil, about.at(document.Join(at, name), "unknown comparison operator [%s]", name)
			case one.Len() > 1:
				return nil, about.at(at, "expected end of path object, but found [FIELD_NAME] instead")
			}
			if err := op.takes(document.Join(at, name), about, key, value); err != nil {
				return nil, err
			}
			c.path, c.op, c.with = key, op, value
		}
	}
	return c, nil
}

// takes refuses objects and lists where they have no order.
func (op operator) takes(path string, about subject, field string, v any) error {
	switch v.(type) {
	case *document.Object, []any:
		if op != "eq" && op != "not_eq" {
			return about.at(path, "compared value for [%s] with operation [%s] must either be a numeric, string, boolean or null value, but found [%s] instead", field, op, document.Token(v))
		}
	}
	return nil
}

func (c *compareCondition) kind() string { return "compare" }

func (c *compareCondition) value() any {
	return document.NewObject(document.Pair{Key: c.path, Value: document.NewObject(document.Pair{Key: string(c.op), Value: c.with})})
}

func (c *compareCondition) check(_ context.Context, x *execution) (conditionResult, error) {
	model := x.model(x.payload)
	result := conditionResult{kind: c.kind(), resolved: document.NewObject()}
	with, err := resolve(c.with, model, x.at, result.resolved)
	if err != nil {
		return result, err
	}
	found := document.At(model, c.path)
	result.resolved.Set(c.path, found)
	result.met = c.op.holds(found, with)
	return result, nil
}

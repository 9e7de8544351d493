package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

func (s *Site) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": s.cfg.Assets.URL, "count": Count, "rate": Rate, "bytes": Bytes, "seconds": Seconds, "duration": Duration,
		"percent": Percent, "availability": Availability, "spark": Spark, "bar": Bar, "colour": Colour, "exact": exact, "nodata": func() string { return NoData },
		"json": func(v any) (string, error) { text, err := json.MarshalIndent(v, "", "  "); return string(text), err },
		"iso":  func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
		"dict": dict, "float": func(n int64) float64 { return float64(n) }, "join": strings.Join,
	}
}

// exact is a number with all its digits, for what is shown on hover.
func exact(v any) string {
	switch n := v.(type) {
	case float64:
		return strconv.FormatFloat(n, 'f', -1, 64)
	case *float64:
		if n != nil {
			return strconv.FormatFloat(*n, 'f', -1, 64)
		}
		return NoData
	}
	return fmt.Sprint(v)
}

// dict makes a map of pairs, for a template that takes more than one thing.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict: a key without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

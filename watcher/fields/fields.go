// Package fields reads the objects of a watch key by key: each key is asked for
// with the type that it must have, and what nobody asked for is refused, in the
// words of Elastic's parsers.
package fields

import (
	"math/big"
	"strings"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/mustache"
)

// Reader reads one object. The first thing that is wrong is kept and returned
// by [Reader.Done]; until then every method answers with zero values.
type Reader struct {
	path   string
	about  string
	object *document.Object
	asked  map[string]bool
	err    error
}

// Read begins with the value v that stands at path. about begins every reason:
// "could not parse http request template".
func Read(path, about string, v any) *Reader {
	r := &Reader{path: path, about: about, asked: map[string]bool{}}
	object, ok := v.(*document.Object)
	if !ok {
		r.err = document.Errorf(path, "%s. expected an object, but found %s", about, document.Kind(v))
		return r
	}
	r.object = object
	return r
}

// Path is where a key stands.
func (r *Reader) Path(key string) string { return document.Join(r.path, key) }

// Has reports whether the key is there.
func (r *Reader) Has(key string) bool {
	_, ok := r.object.Get(key)
	return ok
}

// Fail keeps an error about a key, unless there is one already.
func (r *Reader) Fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = document.Errorf(r.Path(key), r.about+". "+format, args...)
	}
}

// Keep keeps an error that already names its place.
func (r *Reader) Keep(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// Value returns what stands under a key, of any type.
func (r *Reader) Value(key string) (any, bool) {
	r.asked[key] = true
	return r.object.Get(key)
}

// String returns a string; ok is false where there is none.
func (r *Reader) String(key string) (text string, ok bool) {
	v, ok := r.Value(key)
	if !ok {
		return "", false
	}
	text, ok = v.(string)
	if !ok {
		r.Fail(key, "expected [%s] to be a string, but found %s", key, document.Kind(v))
	}
	return text, ok
}

// Int returns a whole number; a string that holds one counts, as it does for
// Elasticsearch.
func (r *Reader) Int(key string) (n int64, ok bool) {
	v, ok := r.Value(key)
	if !ok {
		return 0, false
	}
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		if i, ok := new(big.Int).SetString(v, 10); ok && i.IsInt64() {
			return i.Int64(), true
		}
	}
	r.Fail(key, "expected [%s] to be a whole number, but found %s", key, document.Kind(v))
	return 0, false
}

// Bool returns a boolean; the strings "true" and "false" count.
func (r *Reader) Bool(key string) (b, ok bool) {
	v, ok := r.Value(key)
	if !ok {
		return false, false
	}
	switch v {
	case true, "true":
		return true, true
	case false, "false":
		return false, true
	}
	r.Fail(key, "failed to parse field [%s], expected a boolean value but found %s instead", key, document.Kind(v))
	return false, false
}

// Template returns a template, nil where there is none.
func (r *Reader) Template(key string) *mustache.Template {
	v, ok := r.Value(key)
	if !ok || r.err != nil {
		return nil
	}
	t, err := mustache.ParseTemplate(r.Path(key), v)
	r.Keep(err)
	return t
}

// Templates returns a list of templates; one that stands alone is a list of
// one. ok is false where the key is not there.
func (r *Reader) Templates(key string) (list []*mustache.Template, ok bool) {
	v, ok := r.Value(key)
	if !ok || r.err != nil {
		return nil, false
	}
	values, many := v.([]any)
	if !many {
		return []*mustache.Template{r.Template(key)}, true
	}
	list = []*mustache.Template{}
	for i, v := range values {
		t, err := mustache.ParseTemplate(document.Index(r.Path(key), i), v)
		r.Keep(err)
		list = append(list, t)
	}
	return list, true
}

// Duration returns a time span that stands either as text under key ("10s") or
// in milliseconds under inMillis.
func (r *Reader) Duration(key, inMillis string) (d time.Duration, ok bool) {
	if v, there := r.Value(key); there {
		text, isText := v.(string)
		d, valid := parseDuration(text)
		if !isText || !valid {
			r.Fail(key, "invalid time value for [%s] field: [%s] is not a number with a unit (nanos, micros, ms, s, m, h, d)", key, document.String(v))
			return 0, false
		}
		return d, true
	}
	millis, ok := r.Int(inMillis)
	if ok && (millis < 0 || millis > int64(1<<63-1)/int64(time.Millisecond)) {
		r.Fail(inMillis, "invalid time value for [%s] field: %d", inMillis, millis)
		return 0, false
	}
	return time.Duration(millis) * time.Millisecond, ok
}

// parseDuration reads Elasticsearch's time values (org.elasticsearch.core.TimeValue):
// a whole number with a unit, or a bare 0.
func parseDuration(text string) (time.Duration, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "0" {
		return 0, true
	}
	for _, u := range []struct {
		name string
		unit time.Duration
	}{
		{"nanos", time.Nanosecond},
		{"micros", time.Microsecond},
		{"ms", time.Millisecond},
		{"s", time.Second},
		{"m", time.Minute},
		{"h", time.Hour},
		{"d", 24 * time.Hour},
	} {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, ok := new(big.Int).SetString(strings.TrimSpace(digits), 10)
		if !ok {
			continue
		}
		n.Mul(n, big.NewInt(int64(u.unit)))
		return time.Duration(n.Int64()), n.IsInt64() && n.Sign() >= 0
	}
	return 0, false
}

// Done returns the first error; a key that was never asked for is one.
func (r *Reader) Done() error {
	if r.err != nil {
		return r.err
	}
	for key, v := range r.object.All() {
		if r.asked[key] {
			continue
		}
		switch v.(type) {
		case string:
			r.Fail(key, "unexpected string field [%s]", key)
		case int64, float64, *big.Int:
			r.Fail(key, "unexpected numeric field [%s]", key)
		case *document.Object:
			r.Fail(key, "unexpected object field [%s]", key)
		default:
			r.Fail(key, "unexpected field [%s], which holds %s", key, document.Kind(v))
		}
		return r.err
	}
	return nil
}

// ActionID is the id in the path of an action's body: actions.ID.type.
func ActionID(path string) string {
	path = strings.TrimPrefix(path, "actions.")
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		path = path[:i]
	}
	return path
}

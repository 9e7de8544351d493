package document

import (
	"fmt"
	"strconv"
	"strings"
)

// PathError says what is wrong at which place of a document.
type PathError struct {
	Path   string // e.g. actions.page.pagerduty.event_type, list[2].x; empty: the whole
	Reason string // for people; names the key as Elastic's messages do: [key]
	Err    error  // the cause, or nil
}

// Error gives the reason and, if there is one, the place.
func (e *PathError) Error() string {
	text := e.Reason
	if e.Err != nil {
		text = strings.TrimPrefix(text+": "+e.Err.Error(), ": ")
	}
	if e.Path == "" {
		return text
	}
	return text + " (at " + e.Path + ")"
}

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Err }

// Errorf makes a PathError.
func Errorf(path, format string, args ...any) *PathError {
	return &PathError{Path: path, Reason: fmt.Sprintf(format, args...)}
}

// Join is the path of an object's key.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index is the path of a list's element.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// At finds a value by a path of keys and list indexes joined by dots
// (hits.hits.0.fields), as Elasticsearch's ObjectPath does; nil where nothing
// is. A list's size is not a part of it.
func At(v any, path string) any {
	if path == "" {
		return v
	}
	for step := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case *Object:
			v, _ = in.Get(step)
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

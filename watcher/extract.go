package watcher

import (
	"strings"

	"pharos/watcher/document"
)

// keyTree is what extract keeps: under each key nil for all of it, or what to
// keep within it.
type keyTree map[string]keyTree

// extract keeps of an object what the keys name, joined by dots; lists on the
// way are gone through (XContentFilterKeysUtils).
func extract(o *document.Object, keys []string) *document.Object {
	root := keyTree{}
	for _, key := range keys {
		at := root
		steps := strings.Split(key, ".")
		for i, step := range steps {
			within, known := at[step]
			if known && within == nil {
				break // all of it is kept
			}
			if i == len(steps)-1 {
				at[step] = nil
				break
			}
			if !known {
				within = keyTree{}
				at[step] = within
			}
			at = within
		}
	}
	return root.object(o)
}

func (t keyTree) object(o *document.Object) *document.Object {
	kept := document.NewObject()
	for key, v := range o.All() {
		within, ok := t[key]
		if !ok {
			continue
		}
		if within == nil {
			kept.Set(key, v)
			continue
		}
		if v, ok := within.value(v); ok {
			kept.Set(key, v)
		}
	}
	return kept
}

// value keeps what is in objects and lists; a plain value has no keys.
func (t keyTree) value(v any) (any, bool) {
	switch v := v.(type) {
	case *document.Object:
		return t.object(v), true
	case []any:
		kept := []any{}
		for _, e := range v {
			if e, ok := t.value(e); ok {
				kept = append(kept, e)
			}
		}
		return kept, true
	default:
		return nil, false
	}
}

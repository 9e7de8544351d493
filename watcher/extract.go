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
		kept.Set(key, within.value(v))
	}
	return kept
}

// value keeps what is named of objects, in lists, too; a plain value on the way
// is kept as Elastic keeps it.
func (t keyTree) value(v any) any {
	switch v := v.(type) {
	case *document.Object:
		return t.object(v)
	case []any:
		kept := make([]any, len(v))
		for i, e := range v {
			kept[i] = t.value(e)
		}
		return kept
	default:
		return v
	}
}

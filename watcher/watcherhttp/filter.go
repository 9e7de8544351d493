package watcherhttp

import (
	"path"
	"slices"
	"strings"

	"pharos/watcher/document"
)

// filter keeps what filter_path names: patterns of keys joined by dots, with *
// for any key and ** for any number of them; a pattern that begins with - leaves
// out. Lists on the way are gone through.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#common-options-response-filtering
func filter(o *document.Object, patterns []string) *document.Object {
	var keep, leave [][]string
	for _, p := range patterns {
		if without, ok := strings.CutPrefix(p, "-"); ok {
			leave = append(leave, strings.Split(without, "."))
		} else if p != "" {
			keep = append(keep, strings.Split(p, "."))
		}
	}
	kept := any(o)
	if len(keep) > 0 {
		kept, _ = include(o, keep)
	}
	if len(leave) > 0 {
		kept = exclude(kept, leave)
	}
	if o, ok := kept.(*document.Object); ok {
		return o
	}
	return document.NewObject()
}

// within is what of the patterns applies below a key; all reports that one of
// them ends at it.
func within(key string, patterns [][]string) (rest [][]string, all bool) {
	for _, p := range patterns {
		if p[0] == "**" {
			rest = append(rest, p)
			if len(p) == 1 {
				return nil, true
			}
			more, ends := within(key, [][]string{p[1:]})
			rest, all = append(rest, more...), all || ends
			continue
		}
		if matches, _ := path.Match(p[0], key); !matches {
			continue
		}
		if len(p) == 1 {
			all = true
			continue
		}
		rest = append(rest, p[1:])
	}
	return rest, all
}

func include(v any, patterns [][]string) (any, bool) {
	switch v := v.(type) {
	case *document.Object:
		kept := document.NewObject()
		for key, e := range v.All() {
			rest, all := within(key, patterns)
			if all {
				kept.Set(key, e)
			} else if e, ok := include(e, rest); ok && len(rest) > 0 {
				kept.Set(key, e)
			}
		}
		return kept, kept.Len() > 0
	case []any:
		var kept []any
		for _, e := range v {
			if e, ok := include(e, patterns); ok {
				kept = append(kept, e)
			}
		}
		return kept, len(kept) > 0
	}
	return nil, false
}

func exclude(v any, patterns [][]string) any {
	switch v := v.(type) {
	case *document.Object:
		kept := document.NewObject()
		for key, e := range v.All() {
			if rest, all := within(key, patterns); !all {
				kept.Set(key, exclude(e, rest))
			}
		}
		return kept
	case []any:
		kept := slices.Clone(v)
		for i, e := range kept {
			kept[i] = exclude(e, patterns)
		}
		return kept
	}
	return v
}

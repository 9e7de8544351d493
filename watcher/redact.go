package watcher

import (
	"strings"

	"pharos/watcher/document"
	"pharos/watcher/httpcall"
)

// Redacted stands where an answer hides a secret; a PUT that sends it back keeps
// what is there.
const Redacted = httpcall.Redacted

// Redact returns a copy of a watch's source in which the secrets read
// ::es_redacted::.
func Redact(source *document.Object, secrets []string) *document.Object {
	shown := source.Clone()
	for _, path := range secrets {
		at(shown, path, func(any) any { return Redacted })
	}
	return shown
}

// Restore puts the secrets of a stored watch where the raw source of a new one
// reads ::es_redacted:: in the same place. What has no secret there stays: the
// channels refuse it.
func Restore(raw *document.Object, stored *Watch) {
	for _, path := range stored.SecretPaths() {
		secret, found := any(nil), false
		at(stored.Source(), path, func(v any) any {
			secret, found = v, true
			return v
		})
		if found {
			at(raw, path, func(v any) any {
				if v == Redacted {
					return secret
				}
				return v
			})
		}
	}
}

// RedactedPlace is the first place of a raw source that reads ::es_redacted::;
// ok is false if none does.
func RedactedPlace(v any, path string) (place string, ok bool) {
	switch v := v.(type) {
	case *document.Object:
		for key, e := range v.All() {
			if place, ok := RedactedPlace(e, document.Join(path, key)); ok {
				return place, true
			}
		}
	case []any:
		for i, e := range v {
			if place, ok := RedactedPlace(e, document.Index(path, i)); ok {
				return place, true
			}
		}
	case string:
		return path, v == Redacted
	}
	return "", false
}

// at changes what stands at a path, if anything does. Keys may have dots of
// their own.
func at(v any, path string, change func(any) any) bool {
	switch in := v.(type) {
	case *document.Object:
		for key, e := range in.All() {
			if key == path {
				in.Set(key, change(e))
				return true
			}
			if rest, ok := strings.CutPrefix(path, key+"."); ok && at(e, rest, change) {
				return true
			}
		}
	case []any:
		for i, e := range in {
			if path == itoa(i) {
				in[i] = change(e)
				return true
			}
			if rest, ok := strings.CutPrefix(path, itoa(i)+"."); ok && at(e, rest, change) {
				return true
			}
		}
	}
	return false
}

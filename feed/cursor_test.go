package feed

import (
	"encoding/base64"
	"testing"

	"pharos/internal/fault"
)

// FuzzCursor takes a cursor only where it names an id of its own kind of list,
// and refuses every other by naming the parameter.
func FuzzCursor(f *testing.F) {
	const id = "0198f2a1-7c3b-7d7e-8f21-0a1b2c3d4e5f"
	for _, kind := range []string{"post", "request"} {
		f.Add(encodeCursor(kind, id))
	}
	for _, seed := range []string{"", "cG9zdDo", "cG9zdDo=", "cG9zdDp1cm46dXVpZDo", "%", "cG9zdDpA\n", "ζ"} {
		f.Add(seed)
	}
	f.Add(base64.StdEncoding.EncodeToString([]byte("post:" + id)))
	f.Add(encodeCursor("post", "{"+id+"}"))
	f.Add(encodeCursor("post", "urn:uuid:"+id))
	f.Fuzz(func(t *testing.T, cursor string) {
		taken := 0
		for _, kind := range []string{"post", "request"} {
			got, err := decodeCursor(kind, cursor)
			switch {
			case err != nil:
				if e := fault.From(err); e.Code != fault.InvalidCursor || e.Field != "cursor" || got != "" {
					t.Errorf("%s: %q, %v", kind, got, err)
				}
			case cursor == "":
				if got != "" {
					t.Errorf("no cursor is %q", got)
				}
			default:
				taken++
				if len(got) != len(id) {
					t.Errorf("%s: %q is no id", kind, got)
				}
				if again, err := decodeCursor(kind, encodeCursor(kind, got)); err != nil || again != got {
					t.Errorf("%s: %q came back as %q, %v", kind, got, again, err)
				}
			}
		}
		if taken > 1 {
			t.Errorf("%q is taken for cursors of two lists", cursor)
		}
	})
}

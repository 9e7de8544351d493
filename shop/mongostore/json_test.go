package mongostore

import (
	"fmt"
	"strings"
	"testing"
)

func TestFromJSONManyNames(t *testing.T) {
	var fields []string
	for i := range 40 {
		fields = append(fields, fmt.Sprintf(`"f%d":%d`, i, i))
	}
	fields = append(fields, `"f3":"again"`, `"f39":"again"`)
	doc, err := fromJSON([]byte("{" + strings.Join(fields, ",") + "}"))
	if err != nil || len(doc) != 40 {
		t.Fatalf("%d names, error %v", len(doc), err)
	}
	for i, e := range doc {
		want := any(int64(i))
		if i == 3 || i == 39 {
			want = "again"
		}
		if e.Key != fmt.Sprintf("f%d", i) || e.Value != want {
			t.Errorf("%d: %v", i, e)
		}
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for _, text := range []string{"", "[]", "7", "{", `{"a":`, `{"a":[1,`, `{"a" 1}`} {
		if doc, err := fromJSON([]byte(text)); err == nil {
			t.Errorf("%s gives %v", text, doc)
		}
	}
}

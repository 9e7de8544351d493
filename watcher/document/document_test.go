package document_test

import (
	"math"
	"testing"
	"time"

	"pharos/watcher/document"
)

func TestKeepsOrderAndNumbers(t *testing.T) {
	const text = `{"z":1,"a":{"y":1.0,"b":[true,null,"<é>"]},"big":123456789012345678901234567890,"e":1E3}`
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := document.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"z":1,"a":{"y":1.0,"b":[true,null,"<é>"]},"big":123456789012345678901234567890,"e":1000.0}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := document.String(o), "{z=1, a={y=1.0, b=[true, null, <é>]}, big=123456789012345678901234567890, e=1000.0}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c := o.Clone()
	document.At(c, "a").(*document.Object).Set("y", int64(2))
	if got := document.At(o, "a.y"); got != 1.0 {
		t.Errorf("a change of the copy reached the original: %v", got)
	}
	c.Delete("z")
	if _, ok := c.Get("z"); ok || c.Len() != 3 || c.Keys()[0] != "a" {
		t.Errorf("after Delete: %v", c.Keys())
	}
}

func TestPrintsAsJava(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value any
		want  string
	}{
		{1e7, "1.0E7"}, {9999999.0, "9999999.0"}, {0.001, "0.001"}, {0.0001, "1.0E-4"}, {-1.5e300, "-1.5E300"},
		{0.0, "0.0"}, {math.NaN(), "NaN"}, {math.Inf(-1), "-Infinity"}, {nil, "null"},
		{at, "2026-11-21T09:00Z"}, {at.Add(5 * time.Second), "2026-11-21T09:00:05Z"},
		{at.Add(250 * time.Millisecond), "2026-11-21T09:00:00.250Z"}, {at.Add(1), "2026-11-21T09:00:00.000000001Z"},
	} {
		if got := document.String(c.value); got != c.want {
			t.Errorf("%v: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestAt(t *testing.T) {
	v, err := document.Parse([]byte(`{"hits":{"total":3,"hits":[{"_id":"a"},{"_id":"b"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"hits.total": int64(3), "hits.hits.1._id": "b", "hits.hits.2._id": nil, "hits.hits.-1": nil,
		"hits.total.x": nil, "nothing": nil, "hits.hits.x": nil,
	} {
		if got := document.At(v, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func TestRefusesWithPlace(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"b":1,"b":2}}`: "line 1, column 16: Duplicate field 'b' (at a.b)",
		"{\n \"a\": tru }":    "line 2, column 7: invalid character ' ' in literal true (expecting 'e')",
		`{"a":1} x`:           "line 1, column 9: something stands after the value",
		`[1]`:                 "expected a JSON object, found an array",
		`{"a":[1,`:            "line 1, column 9: unexpected EOF",
		`{"a":1e999}`:         `line 1, column 11: number 1e999: strconv.ParseFloat: parsing "1e999": value out of range`,
	} {
		_, err := document.ParseObject([]byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,{"b":null}],"c":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := document.Parse(data)
		if err != nil {
			return
		}
		written, err := document.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := document.Parse(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if document.String(v) != document.String(again) {
			t.Fatalf("%s reads back as %s", document.String(v), document.String(again))
		}
	})
}

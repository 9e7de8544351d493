package watcher

import (
	"math/big"
	"testing"
	"time"

	"pharos/watcher/document"
)

func TestLenientComparison(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	object := document.NewObject(document.Pair{Key: "a", Value: int64(1)}, document.Pair{Key: "b", Value: []any{"x"}})
	turned := document.NewObject(document.Pair{Key: "b", Value: []any{"x"}}, document.Pair{Key: "a", Value: int64(1)})
	for _, c := range []struct {
		a, b  any
		order int
		ok    bool
	}{
		{nil, nil, 0, true}, {nil, int64(1), 0, false}, {int64(1), nil, 0, false},
		{int64(2), 1.5, 1, true}, {"2", int64(10), -1, true}, {"2", "10", 1, true}, {int64(2), "10", 1, true}, {"x", int64(1), 0, false},
		{true, "true", 0, true}, {true, int64(1), 0, false}, {true, true, 0, true}, {true, false, 0, false},
		{new(big.Int).Lsh(big.NewInt(1), 80), int64(5), 1, true}, {" 1e3 ", 1000.0, 0, true}, {"0x10", int64(16), 0, false}, {"NaN", int64(1), 0, true},
		{"2026-11-21T08:00:00Z", at, -1, true}, {at.Add(time.Second), at, 1, true}, {at.UnixMilli(), at, 0, true}, {"soon", at, 0, false}, {"now", at, 0, false}, {true, at, 0, false},
		{object, turned, 0, true}, {object, []any{}, 0, false}, {[]any{int64(1)}, []any{int64(1)}, 0, true}, {[]any{int64(1)}, []any{int64(2)}, 0, false},
	} {
		if order, ok := lenient(c.a, c.b); order != c.order && c.ok || ok != c.ok {
			t.Errorf("%v to %v: %d %v, want %d %v", c.a, c.b, order, ok, c.order, c.ok)
		}
	}
}

func TestTimeValuePrintsAsJava(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 5 * time.Second: "5s", 2200 * time.Millisecond: "2.2s", 15 * time.Minute: "15m", 90 * time.Second: "1.5m",
		59*time.Second + 990*time.Millisecond: "59.9s", 36 * time.Hour: "1.5d", 999 * time.Millisecond: "999ms", 25 * time.Hour: "1d",
	} {
		if got := timeValue(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestExtractKeepsWhatIsNamed(t *testing.T) {
	v, err := document.ParseObject([]byte(`{"hits":{"total":2,"max":1,"hits":[{"_id":"a","_source":{"x":{"y":1},"z":2}},{"_id":"b"},3]},"ok":true}`))
	if err != nil {
		t.Fatal(err)
	}
	for keys, want := range map[[2]string]string{
		{"hits.total", "ok"}:                 "{hits={total=2}, ok=true}",
		{"hits.hits._source.x", "hits.none"}: "{hits={hits=[{_source={x={y=1}}}, {}, 3]}}",
		{"hits", "hits.total"}:               "{hits={total=2, max=1, hits=[{_id=a, _source={x={y=1}, z=2}}, {_id=b}, 3]}}",
		{"hits.total", "hits"}:               "{hits={total=2, max=1, hits=[{_id=a, _source={x={y=1}, z=2}}, {_id=b}, 3]}}",
		{"none", "ok.deeper"}:                "{ok=true}",
	} {
		if got := document.String(extract(v, keys[:])); got != want {
			t.Errorf("%v: %s, want %s", keys, got, want)
		}
	}
}

package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// ago is an index that was made so long ago.
func ago(days float64, bytes int64) Index {
	made := now.Add(-time.Duration(days * float64(day)))
	return Index{Name: fmt.Sprintf("made %g days ago", days), Made: made, Bytes: bytes, Documents: max(bytes, 1)}
}

func empty(i Index) Index { i.Documents = 0; return i }

func TestDecide(t *testing.T) {
	const gb = 1 << 30
	limited := Family{Name: "logs", Limit: Limit{Age: 30 * day, Size: 8 * gb}}
	for name, tt := range map[string]struct {
		family  Family
		managed bool
		indices []Index
		remove  []string
		roll    bool
	}{
		"nothing":           {family: limited},
		"young":             {family: limited, indices: []Index{ago(1, 100)}},
		"one week":          {family: limited, indices: []Index{ago(7, 100)}, roll: true},
		"one week, empty":   {family: limited, indices: []Index{empty(ago(7, 100))}},
		"just below a week": {family: limited, indices: []Index{ago(6.99, 100)}},
		"old, but it was written to until 30 days ago": {family: limited, indices: []Index{ago(37, 1), ago(30, 1), ago(1, 1)}},
		"older than its time":                          {family: limited, indices: []Index{ago(38, 1), ago(30.1, 1), ago(1, 1)}, remove: []string{"made 38 days ago"}},
		"all but the last":                             {family: limited, indices: []Index{ago(90, 1), ago(80, 1), ago(40, 1)}, remove: []string{"made 90 days ago", "made 80 days ago"}, roll: true},
		"the last alone is never removed":              {family: limited, indices: []Index{ago(400, 1)}, roll: true},
		"too large: the oldest first, and no more than needed": {
			family: limited, indices: []Index{ago(5, 3*gb), ago(4, 2*gb), ago(3, 2*gb), ago(2, 2*gb), ago(1, gb/2)},
			remove: []string{"made 5 days ago"},
		},
		"exactly full":                        {family: limited, indices: []Index{ago(2, 4*gb), ago(1, 4*gb-1), ago(0, 1)}},
		"too large for one":                   {family: limited, indices: []Index{ago(3, gb), ago(2, 9*gb), ago(1, gb/2)}, remove: []string{"made 3 days ago", "made 2 days ago"}},
		"age makes room before size counts":   {family: limited, indices: []Index{ago(60, 5*gb), ago(50, 3*gb), ago(2, 5*gb/10)}, remove: []string{"made 60 days ago"}},
		"the last is an eighth of the stream": {family: limited, indices: []Index{ago(1, gb)}, roll: true},
		"the last is too large":               {family: limited, indices: []Index{ago(1, 9*gb)}, roll: true},
		"no limit":                            {family: Family{}, indices: []Index{ago(4000, 900*gb), ago(1, 1)}},
		"no limit, but large":                 {family: Family{}, indices: []Index{ago(1, 50*gb)}, roll: true},
		"no limit, a month":                   {family: Family{}, indices: []Index{ago(30, 1)}, roll: true},
		"size only":                           {family: Family{Limit: Limit{Size: 8 * gb}}, indices: []Index{ago(4000, 5*gb), ago(3000, 5*gb), ago(1, 1)}, remove: []string{"made 4000 days ago"}},
		"Elasticsearch minds the age":         {family: limited, managed: true, indices: []Index{ago(90, 1), ago(80, 1), ago(40, 1)}},
		"and we the size":                     {family: limited, managed: true, indices: []Index{ago(5, 9*gb), ago(1, 1)}, remove: []string{"made 5 days ago"}},
		"days end by themselves": {
			family: Family{Limit: Limit{Age: 30 * day}, Daily: true}, indices: []Index{ago(32, 1), ago(30.5, 1), ago(0.5, 60*gb)},
			remove: []string{"made 32 days ago"},
		},
		"today stays": {family: Family{Limit: Limit{Age: day, Size: gb}, Daily: true}, indices: []Index{ago(9, 5*gb)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(tt.family, Stream{Name: "s", Indices: tt.indices, Managed: tt.managed}, now)
			var remove []string
			for _, r := range got.Remove {
				remove = append(remove, r.Index)
				if r.Why == "" || r.Ended.IsZero() {
					t.Errorf("%+v says too little", r)
				}
			}
			if !slices.Equal(remove, tt.remove) || (got.RollOver != "") != tt.roll {
				t.Errorf("remove %q, roll over %q", remove, got.RollOver)
			}
			if len(tt.indices) > 0 && !got.Oldest.Equal(tt.indices[0].Made) {
				t.Errorf("oldest is %s", got.Oldest)
			}
		})
	}
}

func TestDecideGivesTheReason(t *testing.T) {
	got := Decide(Family{Name: "traces", Limit: Limit{Age: 7 * day, Size: 1 << 30}}, Stream{Name: "s", Indices: []Index{
		ago(20, 5), ago(12, 2<<30), ago(2, 7),
	}}, now)
	if got.Bytes != 2<<30+12 || got.Indices != 3 || len(got.Remove) != 2 {
		t.Fatalf("%+v", got)
	}
	if a, b := got.Remove[0].Why, got.Remove[1].Why; a != "older than 7d" || b != "the stream is larger than 1gb" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestDayOf(t *testing.T) {
	name, at, ok := DayOf("pharos-watch-history-2026.11.20")
	if name != "pharos-watch-history" || !at.Equal(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)) || !ok {
		t.Error(name, at, ok)
	}
	for _, other := range []string{"pharos-watch-history-x", "plain", "", "logs-a-2026.13.40"} {
		if _, _, ok := DayOf(other); ok {
			t.Errorf("%q has a day", other)
		}
	}
}

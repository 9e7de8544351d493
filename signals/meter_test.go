package signals

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	at := time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)
	began := at.Add(-time.Hour)
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	type step struct {
		readings []Reading
		silent   bool // one did not answer
		known    bool
		count    float64
		partial  bool
	}
	one := func(v float64) Reading { return Reading{"a", began, v} }
	for name, steps := range map[string][]step{
		"the first reading is only where counting begins": {
			{readings: []Reading{one(500)}},
			{readings: []Reading{one(520)}, known: true, count: 20},
			{readings: []Reading{one(520)}, known: true, count: 0},
		},
		"instances add up": {
			{readings: []Reading{one(500), {"b", began, 7}}},
			{readings: []Reading{one(501), {"b", began, 9}}, known: true, count: 3},
		},
		"a start that is worked out anew each time is the same": {
			{readings: []Reading{one(500)}},
			{readings: []Reading{{"a", began.Add(time.Second), 501}}, known: true, count: 1},
		},
		"a restart counts from 0, even past the old value": {
			{readings: []Reading{one(500)}},
			{readings: []Reading{{"a", at.Add(30 * time.Second), 5}}, known: true, count: 5, partial: true},
			{readings: []Reading{{"a", at.Add(90 * time.Second), 700}}, known: true, count: 700, partial: true},
		},
		"a counter without a start that fell began anew": {
			{readings: []Reading{{"n", time.Time{}, 500}}},
			{readings: []Reading{{"n", time.Time{}, 5}}, known: true, count: 5, partial: true},
		},
		"a new instance that began since counts whole": {
			{readings: []Reading{one(500)}},
			{readings: []Reading{one(501), {"b", at.Add(10 * time.Second), 40}}, known: true, count: 41},
		},
		"one that ran before is only where counting begins": {
			{readings: []Reading{one(500)}},
			{readings: []Reading{one(501), {"b", began, 40}}, known: true, count: 1, partial: true},
			{readings: []Reading{one(501), {"b", began, 42}}, known: true, count: 2},
		},
		"one that did not answer is not made up for later": {
			{readings: []Reading{one(500), {"b", began, 40}}},
			{readings: []Reading{one(501)}, silent: true, known: true, count: 1, partial: true},
			{readings: []Reading{one(502), {"b", began, 90}}, known: true, count: 1, partial: true},
		},
		"one that is gone leaves a gap": {
			{readings: []Reading{one(500), {"b", began, 40}}},
			{readings: []Reading{one(501)}, known: true, count: 1, partial: true},
			{readings: []Reading{one(502)}, known: true, count: 1},
		},
		"nobody answers": {
			{readings: []Reading{one(500)}},
			{silent: true, partial: true},
			{readings: []Reading{one(520)}, partial: true},
			{readings: []Reading{one(521)}, known: true, count: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var m Meter
			for i, s := range steps {
				g, known := m.Read(minute(i), s.readings, s.silent)
				if known != s.known || known && (g.Count != s.count || g.Partial != s.partial) {
					t.Errorf("reading %d: %+v, known %t, want %+v", i, g, known, s)
				}
				if known && (!g.From.Equal(minute(i-1)) || !g.To.Equal(minute(i))) {
					t.Errorf("reading %d: from %s to %s", i, g.From, g.To)
				}
			}
		})
	}
}

package days

import (
	"strings"
	"testing"
	"time"

	"pharos/slo"
	"pharos/slo/rollup"
)

func TestStateOfCounts(t *testing.T) {
	const minutes, jobs = 0.0001, 0.05
	for _, c := range []struct {
		name        string
		good, total float64
		budget      float64
		want        State
	}{
		{"nothing is known", 0, 0, minutes, Unknown},
		{"all good", 1440, 1440, minutes, Operational},
		{"one minute of a day", 1439, 1440, minutes, Degraded},
		{"72 minutes of a day", 1368, 1440, minutes, Degraded},
		{"73 minutes of a day", 1367, 1440, minutes, Outage},
		{"a whole day", 0, 1440, minutes, Outage},
		{"a minute of a young day", 0, 1, minutes, Outage},
		{"jobs within their budget", 95, 100, jobs, Operational},
		{"jobs beyond it", 94, 100, jobs, Degraded},
		{"half of the jobs", 50, 100, jobs, Degraded},
		{"most of the jobs", 49, 100, jobs, Outage},
	} {
		if got := Of(slo.Count{Good: c.good, Total: c.total}, c.budget); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDaysWithoutDataAreSaidToHaveNone(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 30, 0, 0, time.FixedZone("x", 3600)) // the 20th in UTC
	today := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	r := Last(3, []rollup.Day{
		{Day: today, Count: slo.Count{Good: 1439, Total: 1440}},
		{Day: today.AddDate(0, 0, -1), Count: slo.Count{}},
		{Day: today.AddDate(0, 0, -5), Count: slo.Count{Total: 1}},
	}, 0.0001, now)
	if len(r.Days) != 3 || r.Days[0].Day != "2026-11-18" || r.Days[1].Share != nil || r.Since != "2026-11-20" || *r.Share != 1439.0/1440 || len(r.Bad()) != 1 {
		t.Errorf("%+v", r)
	}
	if got := r.Days[1].Words() + "; " + r.Days[2].Words(); got != "19 Nov 2026: no data; 20 Nov 2026: problems, 99.93\u00a0%" {
		t.Error(got)
	}
	svg := string(r.SVG(`A & "B"`))
	if !strings.Contains(svg, `aria-label="A &amp; &#34;B&#34;, 3 days to today: 1 with problems, the latest 20 Nov 2026: problems, 99.93`) || strings.Count(svg, `class="day-none"`) != 2 || strings.Count(svg, `class="day-warn"`) != 1 {
		t.Error(svg)
	}
	if r := Last(2, nil, 0.1, now); r.Share != nil || !strings.Contains(string(r.SVG("x")), "no data") {
		t.Errorf("%+v", r)
	}
}

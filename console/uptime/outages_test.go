package uptime

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestFailuresCloseTogetherAreOneOutage(t *testing.T) {
	steps := []step{
		{after(0), after(5), 2},
		{after(10), after(15), 2},
		{after(105), after(105), 1}, // 90 s after
		{after(196), after(200), 2}, // 91 s after
	}
	got := join(steps, 90*time.Second)
	if len(got) != 2 || got[0].Start != after(0) || got[0].lastDown != after(105) || got[0].Failed != 5 || got[1].Start != after(196) || got[1].Failed != 2 {
		t.Errorf("%+v", got)
	}
	if join(nil, time.Minute) != nil {
		t.Error("an outage of nothing")
	}
}

func TestSinceWhenAMonitorIsWhatItIs(t *testing.T) {
	o := Outages{last: map[string]Outage{"over": {Start: after(0), End: after(60)}, "on": {Start: after(10)}}}
	for _, c := range []struct {
		monitor, status string
		want            time.Time
	}{
		{"over", "up", after(60)}, {"on", "down", after(10)}, {"never", "up", time.Time{}},
		{"over", "", time.Time{}}, {"on", "up", time.Time{}}, {"over", "down", time.Time{}},
	} {
		if got := o.since(c.monitor, c.status); !got.Equal(c.want) {
			t.Errorf("%s %s: %s, want %s", c.monitor, c.status, got, c.want)
		}
	}
}

func TestOutageInWords(t *testing.T) {
	now := after(3600)
	over, on := Outage{Start: after(0), End: after(186)}, Outage{Start: after(3570)}
	if d := cmp.Diff([]string{"3.1\u00a0min", "30\u00a0s"}, []string{over.Lasted(now), on.Lasted(now)}); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"2026-11-21T11:59:00.000Z", "2026-11-21T12:04:06.000Z"}, over.Around(now)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"2026-11-21T12:58:30.000Z", "2026-11-21T13:01:00.000Z"}, on.Around(now)); d != "" {
		t.Error(d)
	}
}

func TestCertificates(t *testing.T) {
	for _, c := range []struct {
		ends time.Time
		want string
	}{
		{start.Add(-time.Second), "bad"}, {start.Add(6 * 24 * time.Hour), "bad"}, {start.Add(29 * 24 * time.Hour), "warn"}, {start.Add(31 * 24 * time.Hour), "ok"},
	} {
		if got := (Monitor{CertificateEnds: c.ends}).Certificate(start)["State"]; got != c.want {
			t.Errorf("%s: %s, want %s", c.ends, got, c.want)
		}
	}
	if (Monitor{}).Certificate(start) != nil {
		t.Error("a certificate where there is none")
	}
}

func TestAnOldCheckSaysNothingOfNow(t *testing.T) {
	c := check{At: start}
	c.Monitor.ID, c.Monitor.Status, c.Error.Message = "site", "down", "connection refused"
	if m := newMonitor(c, after(120)); m.Status != "down" || m.Name != "site" || m.Error != "connection refused" || m.State()["State"] != "bad" {
		t.Errorf("%+v", m)
	}
	if m := newMonitor(c, after(121)); m.Status != "" || m.State()["Word"] != "no data" {
		t.Errorf("%+v", m)
	}
}

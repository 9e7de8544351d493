package statuspage

import (
	"os"
	"strings"
	"testing"
	"time"

	"pharos/console/days"
	"pharos/slo"
	"pharos/slo/rollup"
)

var noon = time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)

func catalog(t testing.TB) Catalog {
	t.Helper()
	objectives, err := slo.Load(os.DirFS("../.."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadCatalog("", objectives)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShippedComponentsAreThoseOfTheObjectives(t *testing.T) {
	c := catalog(t)
	if len(c.Components) != 5 || len(c.Response) != 1 || c.Components[0].Own == nil || c.Components[2].By != rollup.ByGroup || c.Components[3].By != rollup.Whole || c.Components[4].Budget != 0.05 {
		t.Errorf("%+v", c)
	}
	for _, one := range c.Components {
		if len(one.Needs) == 0 {
			t.Errorf("%s needs nothing", one.Key)
		}
	}
	if c, err := LoadCatalog("", nil); err != nil || len(c.Components) != 0 {
		t.Errorf("without objectives: %+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"components: [{key: a, name: A, measure: m, objective: nope}]":                                                                 `no objective "nope"`,
		"components: [{key: a, name: A, objective: availability}]":                                                                     "key, name and measure",
		"components: [{key: a, name: A, measure: m, objective: availability}, {key: b, name: a, measure: m, objective: availability}]": "there already",
		"components: [{key: a, name: A, measure: m, objective: availability, host: x}]":                                                "host",
		"components: [{key: a, name: A, measure: m, objective: availability, needs: [x]}]":                                             `component "x"`,
		"{response: x}": `response`,
	} {
		objectives := []slo.Objective{{Name: "availability", Target: 0.999}}
		if _, err := parseCatalog([]byte(text), objectives, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// up is how monitors are when all is well.
func up() map[string]bool {
	return map[string]bool{"site": false, "api-1": false, "api-2": false, "feed-1": false, "feed-2": false, "redis": false, "mysql": false, "mongodb": false}
}

func TestOverallState(t *testing.T) {
	day := noon.Truncate(24 * time.Hour)
	open := Incident{ID: "1", Title: "Slow answers.", Impact: "minor", StartedAt: noon, Components: []string{}, Updates: []Update{{At: noon}}}
	on := func(i Incident, components ...string) Incident { i.Components = components; return i }
	serious := on(open, "Feed")
	serious.Impact = "critical"
	over := on(open, "Feed")
	over.ResolvedAt = noon
	for _, c := range []struct {
		name   string
		change func(*Facts)
		state  days.State
		says   string
	}{
		{"all is well", func(*Facts) {}, days.Operational, "Everything operates normally."},
		{"one of two instances is down", func(f *Facts) { f.Down["api-1"], f.Down["feed-2"] = true, true }, days.Operational, "Everything operates normally."},
		{"the site is down", func(f *Facts) { f.Down["site"] = true }, days.Outage, "Website and API is down."},
		{"api is down behind a site that answers", func(f *Facts) { f.Down["api-1"], f.Down["api-2"] = true, true }, days.Degraded, "Website and API has problems."},
		{"a store is down", func(f *Facts) { f.Down["redis"] = true }, days.Degraded, "Shop events and Background jobs have problems."},
		{"two are down, others feel it", func(f *Facts) { f.Down["site"], f.Down["feed-1"], f.Down["feed-2"] = true, true, true }, days.Outage, "Website and API and Feed are down; Sign-in has problems."},
		{"sign-ins fail", func(f *Facts) { f.Recent["sign-in"] = slo.Count{Good: 1, Total: 10} }, days.Outage, "Sign-in is down."},
		{"four sign-ins say nothing", func(f *Facts) { f.Recent["sign-in"] = slo.Count{Good: 0, Total: 4} }, days.Operational, "Everything operates normally."},
		{"nobody looks", func(f *Facts) { f.Down = nil }, days.Unknown, "We do not know how we are: our monitoring has no data."},
		{"nobody looks at the site", func(f *Facts) { delete(f.Down, "site") }, days.Unknown, "There is no data on Website and API; all else operates normally."},
		{"an incident of nothing named", func(f *Facts) { f.Incidents = []Incident{open} }, days.Degraded, "We are working on a problem: Slow answers."},
		{"an incident of a component", func(f *Facts) { f.Incidents = []Incident{on(open, "Feed")} }, days.Degraded, "Feed has problems."},
		{"a critical one", func(f *Facts) { f.Incidents = []Incident{serious} }, days.Outage, "Feed is down."},
		{"one that is over", func(f *Facts) { f.Incidents = []Incident{over} }, days.Operational, "Everything operates normally."},
		{"maintenance", func(f *Facts) {
			f.Down["site"] = true
			f.Windows = []Window{{Title: "x", Components: []string{"Website and API"}, From: noon, To: noon.Add(time.Hour)}}
		}, days.Maintenance, "Website and API is under planned maintenance."},
		{"maintenance to come", func(f *Facts) {
			f.Windows = []Window{{Title: "x", Components: []string{"Feed"}, From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)}}
		}, days.Operational, "Everything operates normally."},
	} {
		f := Facts{At: noon, Down: up(), Recent: map[string]slo.Count{}, Days: map[string][]rollup.Day{"feed": {{Day: day, Count: slo.Count{Good: 719, Total: 720}}}}}
		c.change(&f)
		if s := catalog(t).Status(f); s.State != c.state || s.Summary != c.says {
			t.Errorf("%s: %s %q, want %s %q", c.name, s.State, s.Summary, c.state, c.says)
		}
	}
	if s := (Catalog{}).Status(Facts{At: noon}); s.State != days.Unknown || s.Summary != "Nothing is watched yet." {
		t.Errorf("nothing: %+v", s)
	}
}

func TestDaysAreNinetyAndNoDataIsNone(t *testing.T) {
	today := noon.Truncate(24 * time.Hour)
	f := Facts{At: noon, Down: up(), Days: map[string][]rollup.Day{"feed": {
		{Day: today.AddDate(0, 0, -90), Count: slo.Count{Total: 1440}}, // too old
		{Day: today.AddDate(0, 0, -2), Count: slo.Count{Good: 1439, Total: 1440}},
		{Day: today, Count: slo.Count{Good: 720, Total: 720}},
	}}}
	s := catalog(t).Status(f)
	feed, jobs := s.Components[1], s.Components[4]
	if len(feed.Days) != 90 || feed.Days[0].Day != "2026-08-24" || feed.Days[89].Day != "2026-11-21" || feed.Since != "2026-11-19" {
		t.Fatalf("%+v", feed)
	}
	if feed.Days[87].State != days.Degraded || feed.Days[88].State != days.Unknown || feed.Days[88].Share != nil || feed.Days[89].State != days.Operational {
		t.Errorf("%+v", feed.Days[87:])
	}
	if want := 2159.0 / 2160; feed.Share == nil || *feed.Share != want {
		t.Errorf("%v, want %v", *feed.Share, want)
	}
	if jobs.Share != nil || jobs.Since != "" || jobs.Days[89].State != days.Unknown {
		t.Errorf("%+v", jobs)
	}
}

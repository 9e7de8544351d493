package statuspage

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/teststack"
)

// What is asked, asked of a real Elasticsearch with the console's own account,
// which may read no more than this.
func TestFactsOfARealElasticsearch(t *testing.T) {
	setup := teststack.Config[elastic.SetupConfig](t)
	admin, err := elastic.New(setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	own := teststack.Config[struct {
		Password env.Secret `env:"CONSOLE_PASSWORD,required,notEmpty"`
	}](t)
	es, err := elastic.New(elastic.Config{URLs: setup.URLs, User: "console", Password: own.Password, CAFile: setup.CAFile})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	now := time.Now().UTC()
	put := func(index, id string, body map[string]any) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if status, answer, err := admin.Do(t.Context(), "PUT", "/"+index+"/_doc/"+id+"?refresh=true", text); err != nil || status >= 300 {
			t.Fatalf("%d %s %v", status, answer, err)
		}
		t.Cleanup(func() {
			_, _, _ = admin.Do(context.WithoutCancel(t.Context()), "DELETE", "/"+index+"/_doc/"+id+"?refresh=true", nil)
		})
	}
	public := []map[string]any{{"at": now, "kind": "opened", "text": "We look into it.", "public": true}, {"at": now, "kind": "note", "text": "SECRET", "public": false}}
	for suffix, closed := range map[string]time.Time{"open": {}, "late": now.Add(-13 * 24 * time.Hour), "long": now.Add(-15 * 24 * time.Hour)} {
		d := map[string]any{"kind": "incident", "id": id + suffix, "state": "open", "title": id, "impact": "major", "status": "investigating", "started_at": now.Add(-20 * 24 * time.Hour), "timeline": public, "services": []string{"SECRET"}}
		if !closed.IsZero() {
			d["state"], d["closed_at"] = "closed", closed
		}
		put("pharos-incidents", id+suffix, d)
	}
	for suffix, ends := range map[string]time.Time{"next": now.Add(2 * time.Hour), "over": now.Add(-time.Hour)} {
		put("pharos-silences", id+suffix, map[string]any{"id": id + suffix, "maintenance": true, "title": id, "components": []string{"Feed"},
			"matchers":  map[string]any{"service": id}, // it silences nobody else's alerts
			"starts_at": now.Add(-2 * time.Hour), "ends_at": ends})
	}
	r := &reader{es: es, catalog: catalog(t)}
	f, err := r.facts(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, i := range f.Incidents {
		if i.Title == id {
			found = append(found, strings.TrimPrefix(i.ID, id))
			if len(i.Updates) != 1 || i.Updates[0].Text != "We look into it." {
				t.Errorf("%+v", i)
			}
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, []string{"late", "open"}) {
		t.Errorf("incidents %v", found)
	}
	windows := slices.DeleteFunc(f.Windows, func(w Window) bool { return w.Title != id })
	if len(windows) != 1 || !windows[0].Active(now) || !slices.Equal(windows[0].Components, []string{"Feed"}) {
		t.Errorf("windows %+v", windows)
	}
	if len(f.Response.Times) != 48 || len(f.Response.P95) != 48 {
		t.Errorf("%d and %d points", len(f.Response.Times), len(f.Response.P95))
	}
	if text, err := json.Marshal(f); err != nil || strings.Contains(string(text), "SECRET") {
		t.Errorf("%v %s", err, text)
	}
}

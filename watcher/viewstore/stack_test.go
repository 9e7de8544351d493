package viewstore_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/teststack"
	"pharos/watcher/viewstore"
)

func TestRealElasticsearch(t *testing.T) {
	client, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elastic.Setup(t.Context(), client, nil, elastic.Options{}); err != nil {
		t.Fatal(err)
	}
	s, page := &viewstore.Store{Elasticsearch: client}, "test-"+rand.Text()[:8]
	at := time.Now().UTC().Truncate(time.Millisecond)
	save := func(owner, name, query string, shared bool) {
		t.Helper()
		at = at.Add(time.Millisecond)
		if err := s.Save(t.Context(), viewstore.View{Page: page, Name: name, Owner: owner, Query: query, Shared: shared, SavedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	save("ada", "errors", "q=1", false)
	save("ada", "errors", "q=2", false) // in its place
	save("ada", "all / of them", "q=3", true)
	save("bob", "errors", "q=4", true)

	list := func(person string) string {
		t.Helper()
		views, err := s.List(t.Context(), page, person)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, v := range views {
			text += fmt.Sprintf("%s:%s:%s ", v.Owner, v.Name, v.Query)
		}
		return text
	}
	for person, want := range map[string]string{
		"ada": "ada:all / of them:q=3 ada:errors:q=2 bob:errors:q=4 ",
		"bob": "ada:all / of them:q=3 bob:errors:q=4 ",
		"eve": "ada:all / of them:q=3 bob:errors:q=4 ",
	} {
		if got := list(person); got != want {
			t.Errorf("%s sees %s, want %s", person, got, want)
		}
	}
	for person, want := range map[string]string{"ada": "q=2", "eve": "q=4"} {
		if v, err := s.Find(t.Context(), page, "errors", person); err != nil || v.Query != want {
			t.Errorf("%s finds %+v, %v", person, v, err)
		}
	}
	if _, err := s.Find(t.Context(), page, "none", "ada"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), page, "errors", "eve"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deletes what others share: %v", err)
	}
	if err := s.Delete(t.Context(), page, "errors", "bob"); err != nil {
		t.Error(err)
	}
	if _, err := s.Find(t.Context(), page, "errors", "eve"); !fault.Is(err, fault.NotFound) {
		t.Errorf("ada's own is shown to eve: %v", err)
	}
}

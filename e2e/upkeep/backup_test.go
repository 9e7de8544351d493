package upkeep

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type requests struct {
	Items []tracking `json:"items"`
}

type tracking struct {
	RequestID string `json:"request_id"`
	Path      string `json:"path"`
}

// tracked reads a user's tracked requests, but for those that read them.
func (s *system) tracked(t *testing.T, p person) requests {
	t.Helper()
	var page requests
	if got := s.call(t, "GET", "/v1/users/me/requests?limit=100", p.token, nil, &page); got != http.StatusOK {
		t.Fatalf("the tracked requests answered %d", got)
	}
	page.Items = slices.DeleteFunc(page.Items, func(r tracking) bool { return strings.HasPrefix(r.Path, "/v1/users/me") })
	return page
}

// TestBackupAndRestore backs a system up, loses what it has, and restores it.
func TestBackupAndRestore(t *testing.T) {
	s := open(t)
	before := s.newPerson(t)
	var post struct {
		ID string `json:"id"`
	}
	if got := s.call(t, "POST", "/v1/posts", before.token, map[string]string{"text": "before the backup"}, &post); got != http.StatusCreated {
		t.Fatalf("posting answered %d", got)
	}
	stream := "logs-external-backup" + strings.ToLower(rand.Text()[:8])
	s.add(t, stream, 500)
	s.count(t, stream, all)
	if _, err := s.es.RollOver(t.Context(), stream, 0, 0); err != nil { // a stream of two indices
		t.Fatal(err)
	}
	s.add(t, stream, 50)
	if got := s.call(t, "GET", "/v1/feed", before.token, nil, nil); got != http.StatusOK {
		t.Fatalf("the feed answered %d", got)
	}
	var tracked requests
	eventually(t, time.Minute, "the requests are tracked", func() string {
		tracked = s.tracked(t, before)
		for _, r := range tracked.Items {
			if strings.HasPrefix(r.Path, "/v1/feed") {
				return ""
			}
		}
		return fmt.Sprintf("no /v1/feed in %+v", tracked)
	})

	var made struct {
		Name          string
		Elasticsearch struct{ Names []string }
	}
	said := s.must(t, nil, "pharos", "backup", "--json")
	if err := json.Unmarshal([]byte(said[strings.Index(said, "{"):]), &made); err != nil {
		t.Fatalf("%v in %s", err, said)
	}
	s.must(t, nil, "pharos", "backup", "list")
	s.must(t, nil, "pharos", "backup", "check", made.Name)

	after := s.newPerson(t)
	s.add(t, stream, 7)

	// Without being told to, it touches nothing; and never for a backup that is not whole.
	if said, code := s.run(t, nil, "restore"); code != 1 || !strings.Contains(said, "nothing was changed") {
		t.Errorf("it ended with %d: %s", code, said)
	}
	if said, code := s.run(t, nil, "pharos", "restore"); code != 1 || !strings.Contains(said, "there is data already in Elasticsearch") || !strings.Contains(said, "MySQL (") {
		t.Errorf("it ended with %d: %s", code, said)
	}
	dump := filepath.Join(s.State, "backup", made.Name, "mysql.sql.gz")
	whole, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), whole...)
	broken[len(broken)/2] ^= 1
	if err := os.WriteFile(dump, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := s.run(t, []string{"FORCE=1"}, "restore"); code != 1 || !strings.Contains(said, "mysql.sql.gz: has changed since the backup") {
		t.Errorf("it ended with %d: %s", code, said)
	}
	if err := os.WriteFile(dump, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s.signIn(t, after)

	s.must(t, []string{"FORCE=1"}, "restore", made.Name)

	if got := s.call(t, "GET", "/v1/feed", before.token, nil, nil); got != http.StatusOK {
		t.Errorf("the session of before the backup answers %d", got)
	}
	again := s.signIn(t, before)
	if got := s.call(t, "POST", "/v1/sessions", "", map[string]string{"handle": after.handle, "password": after.password}, nil); got != http.StatusUnauthorized {
		t.Errorf("who came after the backup gets %d", got)
	}
	if got := s.call(t, "DELETE", "/v1/posts/"+post.ID, again.token, nil, nil); got != http.StatusNoContent {
		t.Errorf("the post of before: deleting it answers %d", got)
	}
	there := map[string]bool{}
	for _, r := range s.tracked(t, again).Items {
		there[r.RequestID] = true
	}
	for _, r := range tracked.Items {
		if !there[r.RequestID] {
			t.Errorf("the tracked request %s %s is gone", r.RequestID, r.Path)
		}
	}
	if n := s.count(t, stream, all); n != 550 {
		t.Errorf("%d documents, want 550", n)
	}
	s.add(t, stream, 3) // it is a stream still
	if n := s.count(t, stream, all); n != 553 {
		t.Errorf("%d documents, want 553", n)
	}
	backings, err := s.es.Backings(t.Context(), []string{stream})
	if err != nil || len(backings) != 2 {
		t.Errorf("%+v, %v", backings, err)
	}
	// Watches, objectives and shipping go on: new requests become documents.
	eventually(t, 2*time.Minute, "what happens now is indexed", func() string {
		s.call(t, "GET", "/tasks/fibonacci?n=7", "", nil, nil)
		query := map[string]any{"range": map[string]any{"@timestamp": map[string]any{"gte": "now-30s"}}}
		if n := s.count(t, "logs-nginx.access-default", query); n == 0 {
			return "no request of the last 30 s"
		}
		return ""
	})
}

package composetest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestKibanaHasWhatTheSetUpImports asks for it back by Kibana's own export. The
// stand-in has checked each object as it came: a reference to what is not there
// is refused, as Kibana refuses it.
func TestKibanaHasWhatTheSetUpImports(t *testing.T) {
	s := open(t)
	header := []string{"Authorization", basic("elastic", s.settings["ELASTIC_PASSWORD"]), "kbn-xsrf", "true"}
	a := s.want(t, http.StatusOK, nil, "KIBANA_PORT", "POST", "/api/saved_objects/_export", `{"type":["dashboard","index-pattern","search"]}`, header...)
	kinds := map[string]int{}
	for line := range strings.Lines(a.body) {
		var object struct{ Type string }
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		kinds[object.Type]++
	}
	for kind, least := range map[string]int{"dashboard": 8, "index-pattern": 4, "search": 5} {
		if kinds[kind] < least {
			t.Errorf("%d of %s, want %d or more", kinds[kind], kind, least)
		}
	}
	// Again, over what is there.
	s.compose(t, "", "run", "--rm", "--no-deps", "setup-kibana")
	again := s.want(t, http.StatusOK, nil, "KIBANA_PORT", "POST", "/api/saved_objects/_export", `{"type":["dashboard","index-pattern","search"]}`, header...)
	if again.body != a.body {
		t.Error("a second set-up leaves something else")
	}
	if a := s.ask(t, "KIBANA_PORT", "POST", "/api/saved_objects/_export", `{"type":["dashboard"]}`, "kbn-xsrf", "true"); a.status != http.StatusUnauthorized {
		t.Errorf("anybody exports: %d", a.status)
	}
}

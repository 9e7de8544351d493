package watcher_test

import (
	"strings"
	"testing"

	"pharos/watcher"
)

// TestPolicyIsCheckedWhenAWatchIsPut: a misspelt severity must not wait for the
// first outage to be found.
func TestPolicyIsCheckedWhenAWatchIsPut(t *testing.T) {
	e := watcher.New(watcher.Config{})
	for policy, want := range map[string]string{
		`{"severity":"warning","hold":"5m"}`: "",
		`{"sevirity":"warning"}`:             "unexpected string field [sevirity] (at metadata.pharos.sevirity)",
	} {
		source := `{"trigger":{"schedule":{"interval":"10s"}},"metadata":{"own":1,"pharos":` + policy + `}}`
		_, err := e.Parse(t.Context(), "w", []byte(source))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", policy, err, want)
		}
	}
}

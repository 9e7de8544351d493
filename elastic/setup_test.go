package elastic

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// oneFile is a setup with a single role and no other object.
func oneFile(content string) fs.FS {
	m := fstest.MapFS{"roles/pharos_x.json": {Data: []byte(content)}}
	for _, k := range kinds() {
		m[k.folder] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	}
	return m
}

const ourRole = `{"cluster":["monitor"],"metadata":{"managed_by":"pharos"}}`

// respond answers by "METHOD path"; a string is a 200, an int a status.
func respond(t *testing.T, answers map[string]any) *Client {
	t.Helper()
	return server(t, func(w http.ResponseWriter, r *http.Request) {
		switch a := answers[r.Method+" "+r.URL.Path].(type) {
		case string:
			_, _ = io.WriteString(w, a)
		case int:
			w.WriteHeader(a)
			_, _ = io.WriteString(w, `{"error":{"type":"some_exception","reason":"the reason"}}`)
		case nil:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func TestSetupTellsWhatFailed(t *testing.T) {
	support := []Account{{User: "support", Role: "pharos_support", Variable: "SUPPORT_PASSWORD", Password: "hunter2"}}
	own := []Account{{User: "kibana_system", Variable: "KIBANA_PASSWORD", Password: "hunter2"}}
	const role, user = "/_security/role/pharos_x", "/_security/user/support"
	for name, tt := range map[string]struct {
		file     string
		accounts []Account
		answers  map[string]any
		want     []string
	}{
		"refused object":     {ourRole, nil, map[string]any{"PUT " + role: 400}, []string{"role pharos_x", "400 some_exception: the reason"}},
		"not readable":       {ourRole, nil, map[string]any{"GET " + role: 403}, []string{"role pharos_x", "403"}},
		"somebody else's":    {ourRole, nil, map[string]any{"GET " + role: `{"pharos_x":{"cluster":["all"]}}`}, []string{"role pharos_x", "not made by Pharos"}},
		"file is no JSON":    {`{`, nil, nil, []string{"role pharos_x"}},
		"user is taken":      {ourRole, support, map[string]any{"PUT " + role: "{}", "GET " + user: `{"support":{"enabled":true}}`}, []string{"user support", "not made by Pharos"}},
		"password refused":   {ourRole, support, map[string]any{"PUT " + role: "{}", "PUT " + user: 400}, []string{"user support", "SUPPORT_PASSWORD", "the reason"}},
		"own user's refused": {ourRole, own, map[string]any{"PUT " + role: "{}", "GET /_security/_authenticate": 401, "PUT /_security/user/kibana_system/_password": 400}, []string{"user kibana_system", "KIBANA_PASSWORD"}},
		"no password":        {ourRole, []Account{{User: "support", Role: "r", Variable: "SUPPORT_PASSWORD"}}, map[string]any{"PUT " + role: "{}"}, []string{"SUPPORT_PASSWORD is empty"}},
		"may not set up":     {ourRole, nil, map[string]any{"GET /_cluster/health": 403}, []string{"403"}},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]any{"GET /_cluster/health": "{}"}
			for k, v := range tt.answers {
				answers[k] = v
			}
			_, err := setupFrom(t.Context(), oneFile(tt.file), respond(t, answers), tt.accounts, Options{Wait: time.Second})
			if err == nil {
				t.Fatal("want an error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q shows the password", err)
			}
		})
	}
}

func TestRefusedPasswordIsNeverShown(t *testing.T) {
	a := Account{User: "support", Variable: "SUPPORT_PASSWORD", Password: "hunter2"}
	err := a.refused(&Error{Status: 400, Reason: "can't take 'hunter2'"})
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "can't take") {
		t.Errorf("got %v", err)
	}
}

func TestWaitReady(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, tt := range map[string]struct {
		answers []any // the last one is given for good
		took    time.Duration
		want    string // of the error; empty for none
	}{
		"ready":          {[]any{200}, 0, ""},
		"starts slowly":  {[]any{refused, refused, refused, refused, refused, 401, 503, 408, 200}, 0, ""},
		"never starts":   {[]any{refused}, time.Minute, "connection refused"},
		"never gets up":  {[]any{408}, time.Minute, "408"},
		"wrong password": {[]any{401}, 20 * time.Second, "ELASTIC_PASSWORD"},
		"no right":       {[]any{403}, 0, "403"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var told []string
			start := time.Now()
			err := (&Client{base: &patient{tt.answers}}).waitReady(t.Context(), time.Minute, func(line string) { told = append(told, line) })
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got %v, want %q", name, err, tt.want)
			}
			if took := time.Since(start); tt.took != 0 && took.Truncate(time.Second) != tt.took {
				t.Errorf("%s: waited %s, want %s", name, took, tt.took)
			}
			if name == "never starts" && (len(told) < 10 || !strings.Contains(told[1], "connection refused")) {
				t.Errorf("%s: told %q", name, told)
			}
		})
	}
}

// patient gives its last answer for ever.
type patient struct{ answers []any }

func (p *patient) Perform(req *http.Request) (*http.Response, error) {
	next := p.answers[0]
	if len(p.answers) > 1 {
		p.answers = p.answers[1:]
	}
	return (&script{answers: []any{next}}).Perform(req)
}

func TestSummary(t *testing.T) {
	s := Summary{Changes: []Change{
		{"role", "a", Created, ""}, {"role", "b", Unchanged, ""}, {"role", "c", Unchanged, ""},
		{"data stream", "d", Kept, "why"},
	}}
	if got, want := s.String(), "4 objects: 1 created, 2 unchanged, 1 kept"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := s.Changes[3].String(), "data stream d kept: why"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := (Summary{}).String(), "0 objects"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

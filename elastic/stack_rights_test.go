package elastic

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	docappender "github.com/elastic/go-docappender/v2"
)

// as returns a client with the test account of a role.
func (w *world) as(t *testing.T, role string) *Client {
	t.Helper()
	a := w.accounts[role]
	return &Client{base: signedIn{w.client.base, a}}
}

// signedIn makes every call as one account.
type signedIn struct {
	performer
	account Account
}

func (s signedIn) Perform(req *http.Request) (*http.Response, error) {
	req.SetBasicAuth(s.account.User, s.account.Password.Reveal())
	return s.performer.Perform(req)
}

// rights asks Elasticsearch what each role can do with each stream: what the
// table does not give must be refused.
func (w *world) rights(t *testing.T) {
	streams := []string{
		"logs-nginx.access-default", "logs-nginx.error-default", "logs-pharos-default", "logs-external-default",
		"heartbeat-default", "metricbeat-default", "traces-apm-default", "metrics-apm.internal-default", "logs-apm.error-default",
		"metrics-shop.analytics-default", "metrics-slo-default", "metrics-anomaly-default", "metrics-pharos-default",
		"pharos-watches", "pharos-watch-history-2026.11.21", "pharos-leases", "pharos-alerts", "pharos-incidents", "pharos-changes", "pharos-views", "logs-evil-default", "evil", ".apm-agent-configuration", ".security-7",
	}
	apm := []string{"traces-apm*", "metrics-apm*", "logs-apm*"}
	table := map[string]struct {
		monitor   bool
		person    bool // signs in to the console, which revokes its key
		add, read []string
		own       []string // all but to delete or change the index
		targets   []string // documents written and read, none deleted
		count     []string // documents added, and made visible at once
	}{
		"pharos_filebeat":   {monitor: true, add: []string{"logs-nginx.access-default", "logs-nginx.error-default", "logs-pharos-default"}},
		"pharos_heartbeat":  {monitor: true, add: []string{"heartbeat-*"}},
		"pharos_metricbeat": {monitor: true, add: []string{"metricbeat-*", "metrics-pharos-*"}},
		"pharos_analytics":  {monitor: true, add: []string{"metrics-shop.analytics-*"}},
		"pharos_watcher": {
			monitor: true, count: []string{"metrics-slo-*"}, add: []string{"metrics-pharos-default"},
			read: []string{"logs-*", "traces-*", "metrics-*", "metricbeat-*", "heartbeat-*"},
			own:  []string{"pharos-watches", "pharos-watch-history-*", "pharos-leases", "pharos-alerts", "pharos-incidents", "pharos-changes", "pharos-views"}, targets: []string{"evil"},
		},
		"pharos_scanner":    {monitor: true, add: []string{"logs-external-default"}},
		"pharos_intake":     {monitor: true, add: append([]string{"logs-external-default"}, apm...)},
		"pharos_apm_server": {monitor: true, add: apm, read: []string{".apm-agent-configuration"}},
		"pharos_console":    {monitor: true, read: []string{"heartbeat-*", "metrics-slo-*", "pharos-incidents", "pharos-silences"}},
		"pharos_support":    {person: true, read: []string{"logs-*", "traces-apm*", "heartbeat-*"}},
		"pharos_oncall":     {person: true, read: []string{"logs-*", "traces-*", "metrics-*", "metricbeat-*", "heartbeat-*"}},
		"pharos_viewer":     {person: true, read: []string{"metrics-*", "metricbeat-*", "heartbeat-*"}},
	}
	for role := range w.accounts {
		if _, ok := table[role]; !ok {
			t.Errorf("role %s is not in the table", role)
		}
	}
	privileges := []string{"read", "create_doc", "auto_configure", "index", "write", "delete", "create_index", "delete_index", "maintenance", "manage"}
	for role, want := range table {
		t.Run(role, func(t *testing.T) {
			var got struct {
				Cluster map[string]bool            `json:"cluster"`
				Index   map[string]map[string]bool `json:"index"`
			}
			question := Query{
				"cluster": []string{"monitor", "manage", "manage_security", "manage_index_templates", "manage_ingest_pipelines", "manage_own_api_key", "read_security"},
				"index":   []Query{{"names": streams, "privileges": privileges, "allow_restricted_indices": true}},
			}
			if err := w.as(t, role).call(t.Context(), http.MethodPost, "/_security/user/_has_privileges", question, &got); err != nil {
				t.Fatal(err)
			}
			for p, has := range got.Cluster {
				if has != (p == "monitor" && want.monitor || p == "manage_own_api_key" && want.person) {
					t.Errorf("cluster %s: %t", p, has)
				}
			}
			for stream, has := range got.Index {
				in := func(patterns []string) bool {
					return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, stream); return ok })
				}
				for p, ok := range has {
					wanted := p == "read" && in(want.read) || (p == "create_doc" || p == "auto_configure") && (in(want.add) || in(want.count)) ||
						p == "maintenance" && in(want.count) ||
						in(want.own) && slices.Contains([]string{"read", "create_doc", "auto_configure", "index", "write", "delete", "create_index"}, p) ||
						in(want.targets) && slices.Contains([]string{"read", "create_doc", "auto_configure", "index", "create_index"}, p)
					if ok != wanted {
						t.Errorf("%s on %s: %t, want %t", p, stream, ok, wanted)
					}
				}
			}
			if len(got.Index) != len(streams) {
				t.Errorf("%d answers for %d streams", len(got.Index), len(streams))
			}
		})
	}
}

// rightsInUse does what the table says, for the cases that matter most.
func (w *world) rightsInUse(t *testing.T) {
	document := json.RawMessage(`{"@timestamp":"2026-03-01T12:00:00Z","message":"x"}`)
	logs, shop := w.stream("logs-external"), w.stream("metrics-shop.analytics")
	for _, stream := range []string{logs, shop} {
		if err := w.index(t, stream, document); err != nil {
			t.Fatal(err)
		}
	}
	// A stream that does not exist yet: the account must be able to start it.
	beats := w.stream("heartbeat") + "new"
	bulk := func(index string) json.RawMessage {
		return json.RawMessage(`{"create":{"_index":"` + index + `"}}` + "\n" + string(document) + "\n")
	}
	search := json.RawMessage(`{"query":{"match_all":{}}}`)
	for _, tt := range []struct {
		role, method, path string
		body               json.RawMessage
		status             int
	}{
		{"pharos_heartbeat", "POST", "/" + beats + "/_doc", document, 200},
		{"pharos_heartbeat", "POST", "/_bulk", bulk(beats), 200},
		{"pharos_heartbeat", "GET", "/", nil, 200},
		{"pharos_heartbeat", "GET", "/_license", nil, 200},
		{"pharos_heartbeat", "POST", "/" + beats + "/_search", search, 403},
		{"pharos_heartbeat", "POST", "/" + beats + "/_delete_by_query", search, 403},
		{"pharos_heartbeat", "POST", "/_bulk", bulk(logs), 403},
		{"pharos_heartbeat", "POST", "/_bulk", bulk("evil-" + w.id), 403},
		{"pharos_heartbeat", "PUT", "/_ingest/pipeline/apm", json.RawMessage(`{"processors":[]}`), 403},
		{"pharos_intake", "POST", "/" + w.stream("traces-apm") + "/_doc", document, 200},
		{"pharos_intake", "POST", "/" + w.stream("metrics-apm.app.api") + "/_doc", document, 200},
		{"pharos_intake", "POST", "/" + w.stream("logs-apm.error") + "/_doc", document, 200},
		{"pharos_intake", "POST", "/" + logs + "/_doc", document, 403},
		{"pharos_apm_server", "GET", "/_index_template/pharos-heartbeat", nil, 200},
		{"pharos_filebeat", "POST", "/" + beats + "/_doc", document, 403},
		{"pharos_filebeat", "POST", "/_bulk", bulk("logs-evil-default"), 403},
		{"pharos_filebeat", "POST", "/" + w.stream("logs-pharos") + "/_search", search, 403},
		{"pharos_filebeat", "GET", "/" + w.stream("logs-pharos") + "/_mapping", nil, 403},
		{"pharos_metricbeat", "POST", "/" + beats + "/_search", search, 403},
		{"pharos_analytics", "POST", "/" + shop + "/_search", search, 403},
		{"pharos_console", "POST", "/" + beats + "/_search", search, 200},
		{"pharos_console", "POST", "/" + beats + "/_doc", document, 403},
		{"pharos_console", "POST", "/" + beats + "/_delete_by_query", search, 403},
		{"pharos_console", "POST", "/" + logs + "/_search", search, 403},
		{"pharos_console", "POST", "/" + logs + "/_doc", document, 403},
		{"pharos_console", "PUT", "/pharos-alerts/_doc/x", document, 403},
		{"pharos_console", "GET", "/_security/user", nil, 403},
		{"pharos_console", "PUT", "/_security/user/x", json.RawMessage(`{"password":"123456","roles":["superuser"]}`), 403},
		{"pharos_watcher", "POST", "/" + logs + "/_delete_by_query", search, 403},
		{"pharos_watcher", "GET", "/_security/user", nil, 403},
		{"pharos_support", "GET", "/_security/user", nil, 403},
		{"pharos_support", "GET", "/_security/api_key", nil, 403},
		{"pharos_support", "POST", "/" + logs + "/_search", search, 200},
		{"pharos_support", "POST", "/" + beats + "/_search", search, 200},
		{"pharos_support", "GET", "/" + logs + "/_mapping", nil, 200},
		{"pharos_support", "POST", "/" + shop + "/_search", search, 403},
		{"pharos_support", "POST", "/" + logs + "/_doc", document, 403},
		{"pharos_oncall", "POST", "/" + logs + "/_search", search, 200},
		{"pharos_oncall", "POST", "/" + shop + "/_search", search, 200},
		{"pharos_oncall", "POST", "/" + logs + "/_rollover", nil, 403},
		{"pharos_watcher", "POST", "/" + logs + "/_doc", document, 403},
		{"pharos_watcher", "POST", "/" + logs + "/_delete_by_query", search, 403},
		{"pharos_watcher", "POST", "/" + logs + "/_rollover", json.RawMessage(`{"conditions":{"min_docs":1,"max_docs":1}}`), 200},
		{"pharos_watcher", "PUT", "/" + logs + "/_settings", json.RawMessage(`{"index":{"refresh_interval":"2s"}}`), 403},
		{"pharos_watcher", "DELETE", "/pharos-alerts-" + w.id, nil, 403},
		{"pharos_watcher", "DELETE", "/.security-7", nil, 403},
		{"pharos_viewer", "POST", "/" + shop + "/_search", search, 200},
		{"pharos_viewer", "POST", "/" + beats + "/_search", search, 200},
		{"pharos_viewer", "POST", "/" + logs + "/_search", search, 403},
		{"pharos_viewer", "GET", "/_security/user", nil, 403},
	} {
		var items struct {
			Items []map[string]struct {
				Status int `json:"status"`
			} `json:"items"`
		}
		var body any
		if tt.body != nil {
			body = tt.body
		}
		err := w.as(t, tt.role).call(t.Context(), tt.method, tt.path, body, &items)
		status := http.StatusOK
		var refused *Error
		switch {
		case errors.As(err, &refused):
			status = refused.Status
		case err != nil:
			t.Errorf("%s %s %s: %v", tt.role, tt.method, tt.path, err)
			continue
		case len(items.Items) == 1 && items.Items[0]["create"].Status >= 400:
			status = items.Items[0]["create"].Status
		}
		if status != tt.status {
			t.Errorf("%s %s %s: %d, want %d: %v", tt.role, tt.method, tt.path, status, tt.status, err)
		}
	}
}

// docappender is what the intake writes with: through our client, with the
// intake's own rights.
func (w *world) docappender(t *testing.T) {
	stream := w.stream("traces-apm") + "appender"
	app, err := docappender.New(w.as(t, "pharos_intake"), docappender.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := app.Add(t.Context(), stream, strings.NewReader(`{"@timestamp":"2026-03-01T12:00:00Z","trace.id":"t"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must(t, http.MethodPost, "/"+stream+"/_refresh", nil, nil)
	found, err := w.client.Search(t.Context(), stream, Query{"query": term("trace.id", "t")})
	if err != nil || found.Total != 3 {
		t.Errorf("found %v, %v, want 3", found, err)
	}
}

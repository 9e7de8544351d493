package kibanaapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/env"
	"pharos/kibana"
)

const (
	available = `{"name":"kibana","version":{"number":"8.19.13"},"status":{"overall":{"level":"available","summary":"All services and plugins are available"}}}`
	starting  = "Kibana server is not ready yet"
	imported  = `{"success":true,"successCount":25,"warnings":[],"successResults":[{"type":"dashboard","id":"pharos-operations","meta":{"title":"Pharos: Operations","icon":"dashboardApp"},"managed":false,"overwrite":true}]}`
)

// answer is what Kibana says to a call; a text that is no JSON goes out as it is.
type answer struct {
	status int
	body   string
}

// call is one that Kibana got.
type call struct {
	what string // method and path with its query
	body string
}

// fake is a Kibana that says what a test wants: its documented answers, from
// https://www.elastic.co/docs/api/doc/kibana/v8. What has several answers gives
// them in their order, the last one for ever.
type fake struct {
	t       *testing.T
	mutex   sync.Mutex
	answers map[string][]answer
	calls   []call
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	f.calls = append(f.calls, call{r.Method + " " + r.URL.String(), string(body)})
	name, password, _ := r.BasicAuth()
	if name != "elastic" || password != "hunter2" || r.Header.Get("kbn-xsrf") == "" {
		f.t.Errorf("%s %s: asked as %s, kbn-xsrf %q", r.Method, r.URL, name, r.Header.Get("kbn-xsrf"))
	}
	what := r.Method + " " + r.URL.Path
	all := f.answers[what]
	if len(all) == 0 {
		f.t.Errorf("unexpected %s", what)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if len(all) > 1 {
		f.answers[what] = all[1:]
	}
	w.WriteHeader(all[0].status)
	_, _ = io.WriteString(w, all[0].body)
}

// start serves the answers and returns what a Load is asked with.
func start(t *testing.T, answers map[string][]answer) (*fake, Config) {
	t.Helper()
	f := &fake{t: t, answers: answers}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, Config{URL: server.URL + "/", Password: "hunter2", Console: "https://console.example/"}
}

func TestLoad(t *testing.T) {
	f, cfg := start(t, map[string][]answer{"GET /api/status": {{200, available}}, "POST /api/saved_objects/_import": {{200, imported}}})
	for range 2 { // again is the same
		s, err := Load(t.Context(), cfg, Options{})
		if err != nil || s.Imported != 25 || s.String() != "25 objects imported into the space default." {
			t.Errorf("%v %v", s, err)
		}
	}
	upload := f.calls[1]
	if upload.what != "POST /api/saved_objects/_import?overwrite=true" || len(f.calls) != 4 {
		t.Errorf("%v", f.calls)
	}
	objects, err := kibana.Objects(kibana.Price{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(upload.body, `filename="pharos.ndjson"`) || strings.Count(upload.body, `"coreMigrationVersion"`) != 25 || len(objects) != 12 {
		t.Error("not all is uploaded in one file")
	}
	if strings.Contains(upload.body, "Cost of a request") {
		t.Error("shows a cost without a price")
	}
	cfg.PricePerHour, cfg.PriceCurrency = 1.2, "CHF"
	if all, err := everything(cfg); err != nil || !strings.Contains(string(all), "At 1.2 CHF an hour.") {
		t.Errorf("shows no cost: %v", err)
	}
	if strings.Contains(upload.body, kibana.DefaultConsole) || !strings.Contains(upload.body, "https://console.example/traces/{{value}}") {
		t.Error("links do not lead to the console")
	}
}

func TestLoadIntoASpace(t *testing.T) {
	f, cfg := start(t, map[string][]answer{
		"GET /api/status":             {{200, available}},
		"GET /api/spaces/space/pages": {{404, `{"statusCode":404,"error":"Not Found","message":"Not Found"}`}, {200, `{"id":"pages","name":"pages"}`}},
		"POST /api/spaces/space":      {{200, `{"id":"pages","name":"pages"}`}}, "POST /s/pages/api/saved_objects/_import": {{200, imported}},
	})
	for _, want := range []bool{true, false} {
		s, err := Load(t.Context(), cfg, Options{Space: "pages"})
		if err != nil || s.NewSpace != want || s.Space != "pages" || s.Imported != 25 {
			t.Errorf("%+v %v", s, err)
		}
	}
	if body := f.calls[2].body; !strings.Contains(body, `"id":"pages"`) {
		t.Errorf("the space is made as %s", body)
	}
	if _, err := Load(t.Context(), cfg, Options{Space: "../x"}); err == nil {
		t.Error("took a space that is none")
	}
}

// Each object that Kibana did not take is named, with the reason.
func TestObjectsThatAreNotTaken(t *testing.T) {
	for name, tt := range map[string]struct{ failure, want string }{
		"missing_references": {
			`{"id":"pharos-operations","type":"dashboard","title":"Pharos: Operations","meta":{"title":"Pharos: Operations"},"error":{"type":"missing_references","references":[{"type":"index-pattern","id":"pharos-traffic"}]}}`,
			"dashboard pharos-operations (Pharos: Operations): it refers to what is not there: index-pattern pharos-traffic",
		},
		"conflict": {
			`{"id":"pharos-errors","type":"search","meta":{"title":"Pharos: errors"},"error":{"type":"conflict"}}`,
			"search pharos-errors (Pharos: errors): another object is in its place, and was not overwritten",
		},
		"unsupported_type": {
			`{"id":"x","type":"wigwags","title":"w","error":{"type":"unsupported_type"}}`,
			"wigwags x (w): Kibana does not know this type of object",
		},
		"unknown": {
			`{"id":"pharos-slos","type":"dashboard","title":"s","error":{"type":"unknown","statusCode":400,"message":"[attributes.x]: definition for this key is missing"}}`,
			"dashboard pharos-slos (s): [attributes.x]: definition for this key is missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"success":false,"successCount":24,"errors":[` + tt.failure + `]}`
			_, cfg := start(t, map[string][]answer{"GET /api/status": {{200, available}}, "POST /api/saved_objects/_import": {{200, body}}})
			s, err := Load(t.Context(), cfg, Options{})
			if err == nil || !strings.Contains(err.Error(), "1 objects were not taken:\n"+tt.want) || s.Imported != 24 || len(s.Failures) != 1 {
				t.Errorf("%+v %v", s, err)
			}
			text, err := json.Marshal(s)
			if err != nil || !strings.Contains(string(text), `"reason":`) || !strings.Contains(s.String(), "1 failed") {
				t.Errorf("%s %v", text, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		answers map[string][]answer
		want    string
	}{
		"password": {
			map[string][]answer{"GET /api/status": {{401, `{"statusCode":401,"error":"Unauthorized","message":"Unauthorized"}`}}},
			"ELASTIC_PASSWORD",
		},
		"import": {
			map[string][]answer{"GET /api/status": {{200, available}}, "POST /api/saved_objects/_import": {{413, `{"statusCode":413,"error":"Request Entity Too Large","message":"Payload content length greater than maximum allowed: 26214400"}`}}},
			"413: Payload content length",
		},
		"failed and not why": {
			map[string][]answer{"GET /api/status": {{200, available}}, "POST /api/saved_objects/_import": {{200, `{"success":false,"successCount":0}`}}},
			"not why",
		},
		"space": {
			map[string][]answer{"GET /api/status": {{200, available}}, "GET /api/spaces/space/pages": {{403, `{"statusCode":403,"error":"Forbidden","message":"Unauthorized to get pages space"}`}}},
			"Unauthorized to get pages space",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, cfg := start(t, tt.answers)
			opts := Options{Wait: time.Minute}
			if name == "space" {
				opts.Space = "pages"
			}
			_, err := Load(t.Context(), cfg, opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		})
	}
}

// roundTrip answers without a network, so that time is the test's.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWaitsForKibana(t *testing.T) {
	for name, tt := range map[string]struct {
		ready time.Duration // 0 is never
		want  string        // of the error
	}{
		"in time": {ready: 40 * time.Second},
		"never":   {want: "waited 1m0s for Kibana: GET /api/status: Kibana answered 503: " + starting},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := newClient(Config{URL: "http://kibana.example", Password: "hunter2"}, "")
				c.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
					switch since := time.Since(began); {
					case since < 5*time.Second:
						return nil, io.ErrUnexpectedEOF
					case since < 10*time.Second:
						return reply(200, strings.Replace(available, `"available"`, `"unavailable"`, 1)), nil
					case tt.ready > 0 && since >= tt.ready:
						return reply(200, available), nil
					}
					return reply(503, starting), nil
				})
				var told []string
				err := c.waitReady(t.Context(), time.Minute, func(line string) { told = append(told, line) })
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
					t.Errorf("%v", err)
				}
				if len(told) < 5 || !slices.ContainsFunc(told, func(l string) bool { return strings.Contains(l, "unavailable") }) {
					t.Errorf("told %q", told)
				}
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, cfg := start(t, map[string][]answer{"GET /api/status": {{503, starting}}})
		if err := newClient(cfg, "").waitReady(ctx, time.Minute, func(string) {}); err == nil {
			t.Error("waited on")
		}
	})
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
}

// Rules are made once, and then brought up to date; what somebody has connected to
// them stays.
func TestRules(t *testing.T) {
	answers := map[string][]answer{"GET /api/status": {{200, available}}, "POST /api/saved_objects/_import": {{200, imported}}}
	const there = `{"id":"%s","name":"old","actions":[{"group":"custom_threshold.fired","id":"pager","connector_type_id":".pagerduty","uuid":"u","params":{"summary":"x"}}]}`
	for i, r := range kibana.Rules() {
		path := " /api/alerting/rule/" + r.ID
		switch i {
		case 0:
			answers["GET"+path] = []answer{{404, `{"statusCode":404,"error":"Not Found","message":"Saved object [alert/x] not found"}`}}
			answers["POST"+path] = []answer{{200, `{}`}}
		case 1:
			answers["GET"+path] = []answer{{200, fmt.Sprintf(there, r.ID)}}
			answers["PUT"+path] = []answer{{400, `{"statusCode":400,"error":"Bad Request","message":"params invalid"}`}}
		default:
			answers["GET"+path] = []answer{{200, fmt.Sprintf(there, r.ID)}}
			answers["PUT"+path] = []answer{{200, `{}`}}
		}
	}
	f, cfg := start(t, answers)
	s, err := Load(t.Context(), cfg, Options{Rules: true})
	if err == nil || !strings.Contains(err.Error(), "params invalid") || s.Rules != len(kibana.Rules())-1 || len(s.Failures) != 1 || s.Failures[0].Type != "rule" {
		t.Errorf("%+v %v", s, err)
	}
	for _, c := range f.calls {
		switch {
		case strings.HasPrefix(c.what, "POST /api/alerting/"):
			if !strings.Contains(c.body, `"rule_type_id":"observability.rules.custom_threshold"`) {
				t.Errorf("%+v", c)
			}
		case strings.HasPrefix(c.what, "PUT "):
			if !strings.Contains(c.body, `"id":"pager"`) || strings.Contains(c.body, "connector_type_id") || strings.Contains(c.body, "rule_type_id") {
				t.Errorf("%+v", c)
			}
		}
	}
}

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct{ url, console, wrong string }{
		"good":          {"http://kibana:5601", "", ""},
		"base path":     {"https://example.org/kibana/", "https://console.example", ""},
		"none":          {"", "", "KIBANA_URL"},
		"no scheme":     {"kibana:5601", "", "KIBANA_URL"},
		"credentials":   {"http://a:hunter2@kibana:5601", "", "KIBANA_URL"},
		"quoted":        {"http://kibana:5601", `http://c/"x`, "CONSOLE_URL"},
		"console wrong": {"http://kibana:5601", "console", "CONSOLE_URL"},
	} {
		vars := map[string]string{"KIBANA_URL": tt.url, "CONSOLE_URL": tt.console, "ELASTIC_PASSWORD": "hunter2"}
		var cfg Config
		err := env.ParseMap(&cfg, vars)
		if (err == nil) != (tt.wrong == "") || err != nil && (!strings.Contains(err.Error(), tt.wrong) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var cfg Config
	if err := env.ParseMap(&cfg, map[string]string{"KIBANA_URL": "http://kibana:5601", "ELASTIC_PASSWORD": "hunter2", "PRICE_PER_HOUR": "NaN"}); err == nil || !strings.Contains(err.Error(), "PRICE_PER_HOUR") {
		t.Errorf("a price that is none: %v", err)
	}
}

package watcherhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/internal/teststack"
	"pharos/watcher"
	"pharos/watcher/action/index"
	"pharos/watcher/action/logging"
	"pharos/watcher/action/webhook"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
	"pharos/watcher/watcherhttp"
)

// noElasticsearch is for watches that need none.
type noElasticsearch struct{}

func (noElasticsearch) Do(_ context.Context, method, path string, _ []byte) (int, []byte, error) {
	return 0, nil, errors.New("nothing answers " + method + " " + path)
}

func realElasticsearch(t *testing.T) *elastic.Client {
	t.Helper()
	client, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// stand is the API over a store in memory.
type stand struct {
	t      *testing.T
	server *httptest.Server
	store  *memory
}

func newStand(t *testing.T, es watcher.Elasticsearch, now func() time.Time) *stand {
	t.Helper()
	tel, err := obs.Discard("watcher")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tel.Tracer.Close)
	client := httpcall.NewClient(httpcall.Config{Allow: []string{"http://127.0.0.1:*", "http://localhost:*"}, MaxResponse: 1 << 20, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(client.Close)
	renderer := mustache.Renderer{}
	engine := watcher.New(watcher.Config{
		Elasticsearch: es, HTTP: client, Renderer: renderer, DefaultThrottle: 5 * time.Second, Now: now, NewID: uuid.NewString,
		Actions: map[string]watcher.ParseAction{
			"logging": logging.Parser(logging.Deps{Renderer: renderer, Log: zap.NewNop()}),
			"index":   index.Parser(index.Deps{Elasticsearch: es}),
			"webhook": webhook.Parser(webhook.Deps{Renderer: renderer, Client: client}),
		},
	})
	s := &stand{t: t, store: newMemory()}
	router := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	watcherhttp.Register(router, watcherhttp.Config{Engine: engine, Store: s.store, Service: s.store, Settings: s.store, Authorizer: users{}, Executed: s.store.Executed, Node: "node-1", Now: now})
	s.server = httptest.NewServer(router)
	t.Cleanup(s.server.Close)
	return s
}

// call asks as admin and returns the status and the answer.
func (s *stand) call(method, path, body string) (int, *document.Object) {
	s.t.Helper()
	return call(s.t, s.server.URL, method, path, body)
}

func call(t *testing.T, base, method, path, body string) (int, *document.Object) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("admin", "pw")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	o, err := document.ParseObject(data)
	if err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
	return resp.StatusCode, o
}

// expect compares places of an answer with Java's print of what should stand
// there; "-" is nothing.
func (s *stand) expect(status int, answer *document.Object, wantStatus int, want map[string]string) {
	s.t.Helper()
	if status != wantStatus {
		data, _ := document.Marshal(answer)
		s.t.Errorf("status %d, want %d: %s", status, wantStatus, data)
	}
	for path, text := range want {
		got := document.At(answer, path)
		if shown := document.String(got); shown != text && (got != nil || text != "-") {
			data, _ := document.Marshal(answer)
			s.t.Errorf("%s is %s, want %s\n%s", path, shown, text, data)
		}
	}
}

package signals

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, path, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = fmt.Fprint(w, text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// notes keeps what sources report; they report from one goroutine.
type notes []string

func (n *notes) add(err error) { *n = append(*n, err.Error()) }

const status = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630948 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"

func TestNginx(t *testing.T) {
	var said notes
	url := serve(t, "/nginx_status", status)
	readings, partial := NewNginx([]string{url + "/", url}, said.add).Read(t.Context())
	got := readings[NginxRequests]
	if partial || len(got) != 1 || got[0].Value != 31070465 || got[0].Instance != strings.TrimPrefix(url, "http://") || !got[0].Started.IsZero() {
		t.Errorf("%+v %t %v", readings, partial, said)
	}
	for _, bad := range []string{serve(t, "/nginx_status", "hello"), serve(t, "/elsewhere", status), "http://127.0.0.1:1", "http://[::1", "http://\x00"} {
		said = nil
		readings, partial := NewNginx([]string{bad}, said.add).Read(t.Context())
		if !partial || len(readings[NginxRequests]) != 0 || len(said) != 1 {
			t.Errorf("%q: %+v %t %v", bad, readings, partial, said)
		}
	}
}

const metrics = `# HELP go_goroutines x
# TYPE go_goroutines gauge
go_goroutines{service_name="api"} 12
# TYPE http_server_requests_logged_total counter
http_server_requests_logged_total{service_name="api"} 120
# TYPE http_server_requests_traced_total counter
http_server_requests_traced_total{sampled="false",service_name="api"} 90
http_server_requests_traced_total{sampled="true",service_name="api"} 30
# TYPE process_start_time_seconds gauge
process_start_time_seconds{service_name="api"} 1.7676e+09
`

func TestAPI(t *testing.T) {
	var said notes
	one, young := serve(t, "/metrics", metrics), serve(t, "/metrics", "# TYPE http_server_requests_logged_total counter\nhttp_server_requests_logged_total 0\n")
	readings, partial := NewAPI([]string{one, young, "http://127.0.0.1:1"}, said.add).Read(t.Context())
	if !partial || len(said) != 1 {
		t.Errorf("partial %t, %v", partial, said)
	}
	for counter, want := range map[string]float64{APILogged: 120, APITraced: 120, APISampled: 30} {
		got := readings[counter]
		if len(got) != 2 || got[0].Value != want || !got[0].Started.Equal(time.Unix(1767600000, 0)) || got[1].Value != 0 {
			t.Errorf("%s: %+v", counter, got)
		}
	}
	for _, bad := range []string{serve(t, "/metrics", "go_goroutines 1\n"), serve(t, "/metrics", "{")} {
		if readings, partial := NewAPI([]string{bad}, said.add).Read(t.Context()); !partial || len(readings[APILogged]) != 0 {
			t.Errorf("%+v", readings)
		}
	}
}

// A name that all replicas share is asked at each of its addresses.
func TestEveryAddressOfANameIsAsked(t *testing.T) {
	var said notes
	at, err := url.Parse(serve(t, "/nginx_status", status))
	if err != nil {
		t.Fatal(err)
	}
	other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.2:"+at.Port())
	if err != nil {
		t.Skip("no second loopback address: ", err)
	}
	second := &httptest.Server{Listener: other, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "nginx:") {
			t.Errorf("Host %s", r.Host)
		}
		_, _ = fmt.Fprint(w, status)
	})}}
	second.Start()
	t.Cleanup(second.Close)
	n := NewNginx([]string{"http://nginx:" + at.Port()}, said.add)
	n.pages.lookup = func(_ context.Context, host string) ([]string, error) {
		if host != "nginx" {
			t.Errorf("looked up %s", host)
		}
		return []string{"127.0.0.1", "127.0.0.2"}, nil
	}
	readings, partial := n.Read(t.Context())
	var instances []string
	for _, r := range readings[NginxRequests] {
		instances = append(instances, r.Instance)
	}
	if partial || !slices.Equal(instances, []string{"127.0.0.1:" + at.Port(), "127.0.0.2:" + at.Port()}) {
		t.Errorf("%v %t %v", instances, partial, said)
	}
	n.pages.lookup = func(context.Context, string) ([]string, error) { return nil, errors.New("no such host") }
	if _, partial := n.Read(t.Context()); !partial {
		t.Error("a name that nobody knows is taken for no instances")
	}
}

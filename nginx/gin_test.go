package nginx_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	service "pharos/api"
	"pharos/console/statuspage"
	"pharos/internal/env"
	"pharos/internal/idempotency"
	"pharos/internal/obs"
	"pharos/internal/ratelimit"
	"pharos/internal/resilience"
)

// TestRoutesAreGins holds the map against api's own table and the status page's:
// the same name for the same path, and nothing that the others lack.
func TestRoutesAreGins(t *testing.T) {
	var cfg service.Config
	if err := env.ParseMap(&cfg, map[string]string{
		"FEED_URLS": "http://127.0.0.1:1", "INTERNAL_KEY": "0123456789abcdef0123456789abcdef", "JWT_KEY": "0123456789abcdef0123456789abcdef", "OPERATOR_API_KEY": "x",
	}); err != nil {
		t.Fatal(err)
	}
	tel, err := obs.Discard("api")
	if err != nil {
		t.Fatal(err)
	}
	server, err := service.NewServer(&cfg, service.Parts{Limiter: &ratelimit.Limiter{}, Keys: &idempotency.Keys{}, Events: service.NewEvents(service.EventsOptions{})}, resilience.NewMetrics(tel.Metrics), tel, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	route, templates := routes(t)
	// nginx answers these itself: they are for operators, not for users.
	hidden := []string{"/readyz", "/metrics"}
	parameter := regexp.MustCompile(`[:*]\w+`)
	gins := map[string]bool{}
	for _, r := range server.Router(func() bool { return false }).Routes() {
		if slices.Contains(hidden, r.Path) {
			continue
		}
		gins[r.Path] = true
		path := parameter.ReplaceAllString(r.Path, "x")
		if got := route(path); got != r.Path {
			t.Errorf("%s %s is %q in nginx's log and %q in api's", r.Method, path, got, r.Path)
		}
	}
	for _, path := range statuspage.Paths() {
		gins[path] = true
		if got := route(parameter.ReplaceAllString(path, "x")); got != path {
			t.Errorf("%s is %q in nginx's log", path, got)
		}
	}
	for _, template := range templates {
		if !gins[template] {
			t.Errorf("nginx knows %s, which neither api nor the status page serves", template)
		}
	}
}

package nginx_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// mapEntry is a line of a map block of the template.
type mapEntry struct {
	pattern *regexp.Regexp // nil for default
	value   string
}

// mapBlock reads the block `map SOURCE $…` of the template, whose keys are
// default and case-sensitive regular expressions.
func mapBlock(t *testing.T, source string) []mapEntry {
	t.Helper()
	text, err := os.ReadFile("nginx.conf.template")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "map "+source+" $")
	block, _, closed := strings.Cut(rest, "\n    }\n")
	if !found || !closed {
		t.Fatalf("no map %s in the template", source)
	}
	entry := regexp.MustCompile(`^\s*(default|"~([^"]*)")\s+(\S+);$`)
	var entries []mapEntry
	for _, text := range strings.Split(block, "\n")[1:] {
		m := entry.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("map %s: cannot read %q", source, text)
		}
		e := mapEntry{value: m[3]}
		if m[1] != "default" {
			e.pattern = regexp.MustCompile(m[2])
		}
		entries = append(entries, e)
	}
	return entries
}

// routes maps a path to the http.route that nginx logs, and lists the route
// templates that it knows.
func routes(t *testing.T) (route func(path string) string, templates []string) {
	t.Helper()
	entries := mapBlock(t, "$uri")
	otherwise := ""
	for _, e := range entries {
		if e.pattern == nil {
			otherwise = e.value
			continue
		}
		templates = append(templates, e.value)
	}
	return func(path string) string {
		for _, e := range entries {
			if e.pattern != nil && e.pattern.MatchString(path) {
				return e.value
			}
		}
		return otherwise
	}, templates
}

var paths = map[string]string{
	"/":                            "/",
	"/healthz":                     "/healthz",
	"/static/app.css":              "/static/*filepath",
	"/static/a/b.css":              "/static/*filepath",
	"/status":                      "/status",
	"/status/":                     "other",
	"/statuses":                    "other",
	"/status.json":                 "/status.json",
	"/status.rss":                  "/status.rss",
	"/status.atom":                 "/status.atom",
	"/status.xml":                  "other",
	"/status/badge.svg":            "/status/badge.svg",
	"/status/assets/status.css":    "/status/assets/*filepath",
	"/status/assets/a/b":           "other",
	"/docs":                        "/docs",
	"/docs/":                       "other",
	"/openapi.json":                "/openapi.json",
	"/openapi.yaml":                "/openapi.yaml",
	"/openapi-yaml":                "other",
	"/problems/not-found":          "/problems/:code",
	"/problems/":                   "other",
	"/tasks/fibonacci":             "/tasks/fibonacci",
	"/tasks/factorial":             "/tasks/factorial",
	"/tasks/ackermann":             "/tasks/ackermann",
	"/tasks/jobs/1":                "/tasks/jobs/:id",
	"/tasks/jobs/1/cancellation":   "/tasks/jobs/:id/cancellation",
	"/tasks/jobs/1/result":         "/tasks/jobs/:id/result",
	"/tasks/jobs":                  "other",
	"/v1/feed":                     "/v1/feed",
	"/v1/posts":                    "/v1/posts",
	"/v1/posts/01J":                "/v1/posts/:id",
	"/v1/follows/ann":              "/v1/follows/:handle",
	"/v1/users":                    "/v1/users",
	"/v1/users/me/requests":        "/v1/users/me/requests",
	"/v1/api-keys":                 "/v1/api-keys",
	"/v1/api-keys/01J":             "/v1/api-keys/:id",
	"/v1/sessions":                 "/v1/sessions",
	"/v1/sessions/current":         "/v1/sessions/current",
	"/v1/events":                   "/v1/events",
	"/v1/jobs":                     "/v1/jobs",
	"/v1/jobs/1":                   "/v1/jobs/:id",
	"/v1/jobs/1/result":            "/v1/jobs/:id/result",
	"/v1/functions":                "/v1/functions",
	"/v1/functions/feed.x":         "/v1/functions/:func_name",
	"/v1/admin/users":              "/v1/admin/users",
	"/v1/admin/users/1/requests":   "/v1/admin/users/:id/requests",
	"/v1/admin/users/1/suspension": "/v1/admin/users/:id/suspension",
	"/v1/posts/":                   "other",
	"/v1/posts/a/b":                "other",
	"/v1/feed/":                    "other",
	"//v1/feed":                    "other",
	"/V1/feed":                     "other",
	"/v1/users/me":                 "other",
	"/v1/sessions/01J":             "other",
	"/tasks/sort":                  "other",
	"/wp-login.php":                "other",
	"/metrics":                     "other",
	"/v1/follows/a%2fb":            "other",
	"/v1/fee%64":                   "/v1/feed",
	"/v1/posts/x%0ay":              "/v1/posts/:id",
	"/v1/follows/%D0%B6?x=/v1":     "/v1/follows/:handle",
}

func TestRoutesOfTheTemplate(t *testing.T) {
	t.Parallel()
	route, templates := routes(t)
	seen := map[string]bool{}
	for path, want := range paths {
		if strings.Contains(path, "%") {
			continue // nginx decodes before it looks
		}
		if got := route(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		seen[want] = true
	}
	for _, template := range templates {
		if !seen[template] {
			t.Errorf("no path of the test leads to %s", template)
		}
	}
}

func TestRoutesInTheLog(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	n := 0
	for path, want := range paths {
		get(t, f.url(path))
		n++
		if got := parse(t, f.lines(t, n)[n-1])["http.route"]; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// The route is known when no api answers: availability by route needs it.
func TestRouteOfAnAnswerOfNginxItself(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{freeAddr(t)}})
	res, _ := send(t, "DELETE", f.url("/v1/posts/01J"), "")
	l := parse(t, f.lines(t, 1)[0])
	if res.StatusCode != 502 || l["http.route"] != "/v1/posts/:id" || l["http.request.method"] != "DELETE" || l["url.path"] != "/v1/posts/01J" ||
		l["log.level"] != "error" || l["event.outcome"] != "failure" || l["trace.id"] != "" {
		t.Errorf("%d %v", res.StatusCode, l)
	}
}

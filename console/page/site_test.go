package page_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/look"
)

// stand is a site with one page before an Elasticsearch that knows oncall (all
// rights but metrics) and viewer (metrics only), both by the password "right".
type stand struct {
	*httptest.Server
	t       *testing.T
	client  *http.Client
	es      *httptest.Server
	view    func(*page.Request) (any, error)
	acted   int
	revoked []string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	gin.SetMode(gin.TestMode)
	s := &stand{t: t, view: func(*page.Request) (any, error) { return map[string]string{"Text": "<b>hello</b>"}, nil }}
	s.es = httptest.NewServer(http.HandlerFunc(s.elasticsearch))
	t.Cleanup(s.es.Close)
	es, err := elastic.New(elastic.Config{URLs: []string{s.es.URL}, User: "console", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(es, session.Config{Key: "0123456789abcdef0123456789abcdef", Lasts: time.Hour}, time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	assets, err := look.NewAssets("/assets/", fstest.MapFS{"console.js": {}, "console.css": {}})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	site, err := page.NewSite(r, page.Config{Elasticsearch: es, Sessions: sessions, Assets: assets, Now: time.Now, Timeout: 5 * time.Second, Environment: "test", Region: "here"})
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"logs.html": {Data: []byte(`{{define "main"}}<p>{{.View.Text}}</p><form method="post" action="/do">{{template "csrf" .}}</form>{{end}}`)}}
	if err := site.Add(page.Page{Section: "Signals", Name: "logs", Title: "Logs", Path: "/logs", Files: files,
		Need: func(r session.Rights) bool { return r.Logs }, View: func(r *page.Request) (any, error) { return s.view(r) }}); err != nil {
		t.Fatal(err)
	}
	site.Action("/do", page.Anybody, func(*page.Request) (string, error) { s.acted++; return "/logs", nil })
	s.Server = httptest.NewServer(r)
	t.Cleanup(s.Close)
	jar, _ := cookiejar.New(nil)
	s.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

func (s *stand) elasticsearch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	user, password, _ := r.BasicAuth()
	if key := strings.TrimPrefix(r.Header.Get("Authorization"), "ApiKey "); strings.HasPrefix(key, "key-") {
		user, password = strings.TrimPrefix(key, "key-"), "right"
	}
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch {
	case user != "console" && password != "right":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`)
	case strings.HasSuffix(r.URL.Path, "/grant"):
		_, _ = fmt.Fprintf(w, `{"id":"id-%[1]s","encoded":"key-%[1]s","expiration":%[2]d}`, in["username"], time.Now().Add(time.Hour).UnixMilli())
	case strings.HasSuffix(r.URL.Path, "/_has_privileges"):
		_, _ = fmt.Fprintf(w, `{"username":%q,"index":{"logs-nginx.access-default":{"read":%[2]t},"logs-pharos-default":{"read":%[2]t}}}`, user, user == "oncall")
	case r.Method == http.MethodDelete:
		s.revoked = append(s.revoked, fmt.Sprint(user, in["ids"]))
		_, _ = fmt.Fprint(w, `{}`)
	default:
		_, _ = fmt.Fprint(w, `{}`)
	}
}

func (s *stand) send(method, path string, form url.Values, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(body)
}

func (s *stand) signIn(user string) {
	s.t.Helper()
	resp, body := s.send("POST", "/sign-in", url.Values{"user": {user}, "password": {"right"}, "next": {"/logs?q=a"}})
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/logs?q=a" {
		s.t.Fatalf("sign in: %d %s %s", resp.StatusCode, resp.Header, body)
	}
}

func TestSignInPageSignOut(t *testing.T) {
	s := newStand(t)
	resp, _ := s.send("GET", "/logs?q=a%26b", nil)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sign-in?next=%2Flogs%3Fq%3Da%2526b" {
		t.Errorf("signed out: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	resp, body := s.send("POST", "/sign-in", url.Values{"user": {"oncall"}, "password": {"wr<ng"}})
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "not right") || strings.Contains(body, "wr<ng") || strings.Contains(body, "wr&lt;ng") {
		t.Errorf("wrong password: %d %s", resp.StatusCode, body)
	}
	s.signIn("oncall")
	resp, body = s.send("GET", "/logs", nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "&lt;b&gt;hello") || !strings.Contains(body, `aria-current="page">Logs`) {
		t.Errorf("page: %d %s", resp.StatusCode, body)
	}
	if h := resp.Header; h.Get("Content-Security-Policy") != look.Policy || h.Get("Cache-Control") != "private, no-store" {
		t.Errorf("headers %v", h)
	}
	resp, body = s.send("POST", "/sign-out", url.Values{})
	if resp.StatusCode != http.StatusSeeOther || fmt.Sprint(s.revoked) != "[oncall[id-oncall]]" {
		t.Errorf("signed out: %d %s, revoked %v", resp.StatusCode, body, s.revoked)
	}
	if resp, _ := s.send("GET", "/logs", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after sign-out: %d", resp.StatusCode)
	}
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	s := newStand(t)
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)", "evil", "/\nx"} {
		resp, _ := s.send("POST", "/sign-in", url.Values{"user": {"oncall"}, "password": {"right"}, "next": {next}})
		if got := resp.Header.Get("Location"); got != "/" && resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestRightsDecide(t *testing.T) {
	s := newStand(t)
	s.signIn("viewer")
	resp, body := s.send("GET", "/logs", nil)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "may not see this page") || strings.Contains(body, `href="/logs"><`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if strings.Contains(body, ">Logs</a>") {
		t.Error("the menu shows what the role may not see")
	}
}

func TestJSONOfTheSameAddress(t *testing.T) {
	s := newStand(t)
	if resp, body := s.send("GET", "/logs.json", nil); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" || !strings.Contains(body, "/problems/unauthenticated") {
		t.Errorf("nobody: %d %s", resp.StatusCode, body)
	}
	basic := "Basic b25jYWxsOnJpZ2h0"
	for _, c := range [][2]string{{"/logs.json", "*/*"}, {"/logs", "application/json"}} {
		resp, body := s.send("GET", c[0], nil, "Authorization", basic, "Accept", c[1])
		if resp.StatusCode != http.StatusOK || strings.TrimSpace(body) != `{"Text":"\u003cb\u003ehello\u003c/b\u003e"}` {
			t.Errorf("%v: %d %s", c, resp.StatusCode, body)
		}
	}
	if resp, body := s.send("GET", "/logs.json?from=yesterday", nil, "Authorization", basic); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"from"`) {
		t.Errorf("bad span: %d %s", resp.StatusCode, body)
	}
}

var tokenIn = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s := newStand(t)
	s.signIn("oncall")
	_, body := s.send("GET", "/logs", nil)
	found := tokenIn.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no token in %s", body)
	}
	good := url.Values{"csrf": {found[1]}}
	for name, c := range map[string]struct {
		form   url.Values
		header []string
	}{
		"no token":      {url.Values{}, nil},
		"another token": {url.Values{"csrf": {"x"}}, nil},
		"another site":  {good, []string{"Sec-Fetch-Site", "cross-site"}},
		"its origin":    {good, []string{"Origin", "https://evil.example"}},
	} {
		if resp, _ := s.send("POST", "/do", c.form, c.header...); resp.StatusCode != http.StatusForbidden || s.acted != 0 {
			t.Errorf("%s: %d, acted %d times", name, resp.StatusCode, s.acted)
		}
	}
	if resp, _ := s.send("POST", "/do", good, "Sec-Fetch-Site", "same-origin"); resp.StatusCode != http.StatusSeeOther || s.acted != 1 {
		t.Errorf("our own form: %d, acted %d times", resp.StatusCode, s.acted)
	}
}

func TestWhatFailsIsSaid(t *testing.T) {
	s := newStand(t)
	s.signIn("oncall")
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"away":      {errors.New("dial tcp 10.1.2.3:9200: secret"), 503, "does not answer as it should"},
		"slow":      {fmt.Errorf("search: %w", context.DeadlineExceeded), 504, "did not answer in time"},
		"forbidden": {&elastic.Error{Status: 403}, 403, "may not read this"},
		"bad":       {fault.Field(fault.InvalidParameter, "q", "q is wrong <here>."), 400, "q is wrong &lt;here&gt;."},
		"unknown":   {fault.New(fault.NotFound, "There is no such trace."), 404, "no such trace"},
	} {
		s.view = func(*page.Request) (any, error) { return nil, c.err }
		resp, body := s.send("GET", "/logs", nil)
		if resp.StatusCode != c.status || !strings.Contains(body, c.says) || strings.Contains(body, "10.1.2.3") || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	s.view = func(*page.Request) (any, error) { return nil, &elastic.Error{Status: 401} }
	if resp, _ := s.send("GET", "/logs", nil); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/sign-in") {
		t.Errorf("key ended: %d %s", resp.StatusCode, resp.Header)
	}
}

func TestOnePanelFailsAlone(t *testing.T) {
	s := newStand(t)
	s.signIn("oncall")
	var view struct{ A, B page.Panel[string] }
	s.view = func(r *page.Request) (any, error) {
		p := r.Panels()
		page.Load(p, &view.A, func(context.Context) (string, error) { return "fine", nil })
		page.Load(p, &view.B, func(context.Context) (string, error) { return "half", &elastic.Error{Status: 403} })
		p.Wait()
		return map[string]string{"Text": "x"}, nil
	}
	resp, _ := s.send("GET", "/logs", nil)
	if resp.StatusCode != http.StatusOK || view.A.Data != "fine" || view.A.Trouble != nil || view.B.Data != "" || view.B.Trouble == nil || view.B.Trouble.Kind != "forbidden" {
		t.Errorf("%d %+v", resp.StatusCode, view)
	}
}

// A key that ends while its session goes on leads to the sign-in, and from there
// back, wherever it was noticed.
func TestASessionEnds(t *testing.T) {
	s := newStand(t)
	s.signIn("oncall")
	for name, err := range map[string]error{"Elasticsearch": &elastic.Error{Status: 401}, "the watcher": fault.New(fault.Unauthenticated, "Sign in again.")} {
		s.view = func(r *page.Request) (any, error) {
			var fine, ended page.Panel[string]
			p := r.Panels()
			page.Load(p, &fine, func(context.Context) (string, error) { return "fine", nil })
			page.Load(p, &ended, func(context.Context) (string, error) { return "", err })
			p.Wait()
			return map[string]string{"Text": fine.Data}, nil
		}
		if resp, body := s.send("GET", "/logs?q=a", nil); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sign-in?next=%2Flogs%3Fq%3Da" {
			t.Errorf("%s says so in a panel: %d %v %s", name, resp.StatusCode, resp.Header, body)
		}
		if resp, _ := s.send("GET", "/logs.json", nil); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s to a program: %d", name, resp.StatusCode)
		}
	}
	s.client.Jar, _ = cookiejar.New(nil)
	for referer, want := range map[string]string{s.URL + "/logs?q=a": "/sign-in?next=%2Flogs%3Fq%3Da", "https://evil.example/logs": "/sign-in", "": "/sign-in"} {
		if resp, _ := s.send("POST", "/do", url.Values{}, "Referer", referer); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want {
			t.Errorf("a form of %q: %d to %s", referer, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

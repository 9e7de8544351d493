package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/look"
	"pharos/jobs"
)

// fakeGuests has one job, which belongs to the browser that made it.
type fakeGuests struct {
	job      jobs.Job
	from     jobs.Guest
	err      error
	canceled bool
}

func (f *fakeGuests) find(owner, id string) (jobs.Job, error) {
	if f.err != nil {
		return jobs.Job{}, f.err
	}
	if owner == "" || owner != f.job.Owner || id != f.job.ID {
		return jobs.Job{}, fault.Field(fault.NotFound, "id", "No.")
	}
	return f.job, nil
}

func (f *fakeGuests) Get(_ context.Context, owner, id string) (jobs.Job, error) {
	return f.find(owner, id)
}

func (f *fakeGuests) Cancel(_ context.Context, owner, id string) error {
	_, err := f.find(owner, id)
	f.canceled = f.canceled || err == nil
	return err
}

func (f *fakeGuests) Result(_ context.Context, owner, id string) (jobs.Job, io.Reader, error) {
	j, err := f.find(owner, id)
	return j, strings.NewReader("packed"), err
}

func (f *fakeGuests) Submit(context.Context, string, string, jobs.Spec) (jobs.Job, error) {
	return jobs.Job{}, errors.New("a page makes jobs of guests only")
}

// guestSubmit makes f a GuestJobs.
type guestSubmit struct{ *fakeGuests }

func (g guestSubmit) Submit(_ context.Context, from jobs.Guest, _ string, spec jobs.Spec) (jobs.Job, error) {
	g.from = from
	g.job.Owner, g.job.Spec = jobs.GuestOwner(from.Browser), spec
	return g.job, g.err
}

// visitor is a browser: it keeps its cookie.
type visitor struct {
	handler http.Handler
	cookies []*http.Cookie
}

func newJobPages(t *testing.T, f *fakeGuests) *visitor {
	t.Helper()
	tokens, err := NewTokenKeys("0123456789abcdef0123456789abcdef", nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	tasks := defaultTaskHandlers(t)
	gin.SetMode(gin.TestMode)
	r := gin.New()
	tasks.register(r)
	(&jobPages{jobs: f, guests: guestSubmit{f}, tokens: tokens, tasks: tasks, now: time.Now, crossOrigin: http.NewCrossOriginProtection()}).register(r)
	return &visitor{handler: r}
}

func (v *visitor) send(method, path, form string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(form))
	req.Header.Set("Accept", browser)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	for _, c := range v.cookies {
		req.AddCookie(c)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, req)
	v.cookies = append(v.cookies, w.Result().Cookies()...)
	return w
}

func TestJobPages(t *testing.T) {
	at := time.Now()
	f := &fakeGuests{job: jobs.Job{ID: "j1", State: jobs.Queued, CreatedAt: at}}
	v := newJobPages(t, f)
	if w := v.send("GET", "/tasks/fibonacci?n=5000000", ""); w.Code != 422 || !strings.Contains(w.Body.String(), `<input type="hidden" name="n" value="5000000">`) {
		t.Errorf("no offer: %d %s", w.Code, w.Body)
	}
	w := v.send("POST", "/tasks/fibonacci", "n=5000000", "X-Forwarded-Proto", "https")
	if w.Code != 303 || w.Header().Get("Location") != "/tasks/jobs/j1" || f.job.Spec != (jobs.Spec{Task: "fibonacci", N: 5000000}) || f.from.Address != "192.0.2.1" {
		t.Fatalf("submit: %d %v %+v", w.Code, w.Header(), f)
	}
	if c := v.cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/tasks" || !c.Secure || strings.Contains(c.Value, f.from.Browser) {
		t.Errorf("cookie %+v", c)
	}
	before := f.from.Browser
	if v.send("POST", "/tasks/fibonacci", "n=5000000"); f.from.Browser != before {
		t.Error("the browser is not known again")
	}

	page := func(want ...string) {
		t.Helper()
		w := v.send("GET", "/tasks/jobs/j1", "")
		if w.Code != 200 || w.Header().Get("Cache-Control") != "private, no-store" || w.Header().Get("Content-Security-Policy") != look.Policy {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: no %q in %s", f.job.State, text, w.Body)
			}
		}
	}
	page("Queued", `http-equiv="refresh"`, `action="/tasks/jobs/j1/cancellation"`)
	f.job.State, f.job.Progress, f.job.Doing = jobs.Running, .42, "computing"
	page("Running", `<progress value="42"`, "Computing the number.")
	if w := v.send("POST", "/tasks/jobs/j1/cancellation", ""); w.Code != 303 || !f.canceled {
		t.Errorf("cancel: %d", w.Code)
	}
	f.job.State, f.job.FinishedAt = jobs.Cancelled, at.Add(1500*time.Millisecond)
	page("Cancelled", `name="n" value="5000000"`)
	f.job.State, f.job.ExpiresAt = jobs.Done, at.Add(time.Hour)
	f.job.Result = jobs.Result{Value: jobs.Excerpt{Digits: 1044938, First: "7108", Last: "3125"}, Sum: jobs.Excerpt{Digits: 1044939, First: "1861", Last: "2500"}, Bytes: 920_000, Chunks: 2}
	page("Done", "1,044,938 digits", "7108…", "…2500", "2.09 MB (920 kB on the way)", "Kept for 60 min", "1.50 s after", `href="/tasks/jobs/j1/result"`)
	if w := v.send("GET", "/tasks/jobs/j1/result", "", "Accept-Encoding", "gzip"); w.Code != 200 || w.Body.String() != "packed" || w.Header().Get("Content-Disposition") != `attachment; filename="fibonacci-5000000.json"` {
		t.Errorf("result: %d %v %s", w.Code, w.Header(), w.Body)
	}

	// Nobody else has it: neither who knows the browser's id, nor who knows
	// nothing.
	forged := *v.cookies[0]
	forged.Value = before
	for name, other := range map[string]*visitor{"stranger": {handler: v.handler}, "forger": {handler: v.handler, cookies: []*http.Cookie{&forged}}} {
		for _, call := range [][2]string{{"GET", "/tasks/jobs/j1"}, {"POST", "/tasks/jobs/j1/cancellation"}, {"GET", "/tasks/jobs/j1/result"}} {
			if w := other.send(call[0], call[1], ""); w.Code != 404 || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
				t.Errorf("%s, %v: %d %v", name, call, w.Code, w.Header())
			}
		}
	}
}

func TestJobPagesRefuse(t *testing.T) {
	f := &fakeGuests{job: jobs.Job{ID: "j1"}}
	v := newJobPages(t, f)
	busy := fault.New(fault.TooManyRequests, "Later.")
	busy.RetryAfter = time.Minute
	for name, tt := range map[string]struct {
		path, form string
		header     []string
		err        error
		status     int
		says       string
	}{
		"no number":         {"/tasks/fibonacci", "n=x", nil, nil, 400, "n must be"},
		"nothing":           {"/tasks/fibonacci", "", nil, nil, 400, "n is missing"},
		"another field":     {"/tasks/factorial", "n=1&priority=9", nil, nil, 400, "priority"},
		"too long":          {"/tasks/fibonacci", "n=" + strings.Repeat("1", 5000), nil, nil, 413, "4096"},
		"JSON":              {"/tasks/fibonacci", `{"n":1}`, []string{"Content-Type", "application/json"}, nil, 415, "urlencoded"},
		"of another site":   {"/tasks/fibonacci", "n=1", []string{"Sec-Fetch-Site", "cross-site"}, nil, 403, "another site"},
		"of an old browser": {"/tasks/fibonacci", "n=1", []string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, nil, 403, "another site"},
		"cancel, elsewhere": {"/tasks/jobs/j1/cancellation", "", []string{"Sec-Fetch-Site", "cross-site"}, nil, 403, "another site"},
		"too many":          {"/tasks/fibonacci", "n=1", nil, busy, 429, "Later."},
		"store is away":     {"/tasks/fibonacci", "n=1", nil, fmt.Errorf("dial 10.1.2.3: refused"), 503, "Jobs can&#39;t be reached"},
		"no such job":       {"/tasks/jobs/j2/cancellation", "", nil, nil, 404, "no such job"},
	} {
		f.err = tt.err
		w := v.send("POST", tt.path, tt.form, tt.header...)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "10.1.2") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if (w.Header().Get("Retry-After") != "") != (tt.status == 429 || tt.status == 503) {
			t.Errorf("%s: Retry-After %q", name, w.Header().Get("Retry-After"))
		}
	}
	if w := v.send("POST", "/tasks/ackermann", "m=1&n=1"); w.Code != 404 {
		t.Errorf("ackermann has no jobs: %d", w.Code)
	}
	for _, target := range []string{"/tasks/ackermann?m=3&n=5000000", "/tasks/fibonacci?n=10000001", "/tasks/fibonacci?n=x"} {
		if w := v.send("GET", target, ""); strings.Contains(w.Body.String(), "Compute as a job") {
			t.Errorf("%s is offered as a job", target)
		}
	}
}

package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/jobs"
)

// fakeJobs has one job; its owner is "ada".
type fakeJobs struct {
	job         jobs.Job
	kept        io.Reader
	err         error
	traceparent string
}

func (f *fakeJobs) find(owner, id string) (jobs.Job, error) {
	if f.err != nil {
		return jobs.Job{}, f.err
	}
	if owner != "ada" || id != f.job.ID {
		return jobs.Job{}, fault.Field(fault.NotFound, "id", "No.")
	}
	return f.job, nil
}

func (f *fakeJobs) Submit(_ context.Context, owner, traceparent string, spec jobs.Spec) (jobs.Job, error) {
	f.traceparent = traceparent
	if f.err == nil && spec != f.job.Spec {
		return jobs.Job{}, errors.New("wrong spec")
	}
	return f.find(owner, f.job.ID)
}

func (f *fakeJobs) Get(_ context.Context, owner, id string) (jobs.Job, error) {
	return f.find(owner, id)
}

func (f *fakeJobs) Cancel(_ context.Context, owner, id string) error {
	_, err := f.find(owner, id)
	return err
}

func (f *fakeJobs) Result(_ context.Context, owner, id string) (jobs.Job, io.Reader, error) {
	j, err := f.find(owner, id)
	return j, f.kept, err
}

func jobRouter(t *testing.T, j Jobs) http.Handler {
	t.Helper()
	tel, err := obs.Discard("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tel.Tracer.Close)
	r := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	limits := jobs.Limits{FibonacciMaxN: 100, FactorialMaxN: 100}
	newJobHandlers(j, limits, func(c *gin.Context) string { return c.GetHeader("X-Test-User") }).register(r.Group("/v1"))
	return r
}

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("X-Test-User", "ada")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestJobs(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	f := &fakeJobs{job: jobs.Job{ID: "j1", Owner: "ada", Spec: jobs.Spec{Task: "factorial", N: 5}, State: jobs.Queued, CreatedAt: at}}
	r := jobRouter(t, f)
	w := ask(r, "POST", "/v1/jobs", `{"task":"factorial","arguments":{"n":5}}`)
	want := `{"id":"j1","task":"factorial","arguments":{"n":5},"state":"queued","progress":0,"created_at":"2026-07-01T12:00:00Z"}`
	if w.Code != 202 || w.Body.String() != want || w.Header().Get("Location") != "/v1/jobs/j1" {
		t.Errorf("submit: %d %s %v", w.Code, w.Body, w.Header())
	}
	if trace := w.Header().Get("X-Trace-Id"); !strings.Contains(f.traceparent, "-"+trace+"-") {
		t.Errorf("the job's trace is %q, the request's %q", f.traceparent, trace)
	}
	f.job.State, f.job.Progress, f.job.StartedAt, f.job.FinishedAt, f.job.ExpiresAt = jobs.Done, 1, at, at.Add(time.Second), at.Add(time.Hour)
	f.job.Result.Value.Digits = 3
	want = `{"id":"j1","task":"factorial","arguments":{"n":5},"state":"done","progress":1,"created_at":"2026-07-01T12:00:00Z",` +
		`"started_at":"2026-07-01T12:00:00Z","finished_at":"2026-07-01T12:00:01Z","expires_at":"2026-07-01T13:00:00Z","digits":3,"result":"/v1/jobs/j1/result"}`
	if w := ask(r, "GET", "/v1/jobs/j1", ""); w.Code != 200 || w.Body.String() != want {
		t.Errorf("get: %d %s", w.Code, w.Body)
	}
	if w := ask(r, "DELETE", "/v1/jobs/j1", ""); w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("cancel: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/v1/jobs/j1", "/v1/jobs/j1/result"} {
		if w := ask(r, "GET", path, "", "X-Test-User", "eve"); w.Code != 404 {
			t.Errorf("%s of another user: %d", path, w.Code)
		}
	}
	f.err = errors.New("dial tcp 10.1.2.3:27017: refused")
	for _, call := range [][2]string{{"POST", "/v1/jobs"}, {"GET", "/v1/jobs/j1"}, {"DELETE", "/v1/jobs/j1"}, {"GET", "/v1/jobs/j1/result"}} {
		w := ask(r, call[0], call[1], `{"task":"factorial","arguments":{"n":5}}`)
		if w.Code != 503 || w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "10.1") {
			t.Errorf("%v with a store away: %d %s", call, w.Code, w.Body)
		}
	}
}

func TestBadJobs(t *testing.T) {
	r := jobRouter(t, &fakeJobs{})
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		``:                                               {400, ""},
		`{"task":5}`:                                     {400, "task"},
		`{"task":"sleep","arguments":{"n":1}}`:           {400, "task"},
		`{"arguments":{"n":1}}`:                          {400, "task"},
		`{"task":"factorial"}`:                           {400, "arguments"},
		`{"task":"factorial","arguments":7}`:             {400, "arguments"},
		`{"task":"factorial","arguments":{}}`:            {400, "arguments.n"},
		`{"task":"factorial","arguments":{"n":"5"}}`:     {400, "arguments.n"},
		`{"task":"factorial","arguments":{"n":-5}}`:      {400, "arguments.n"},
		`{"task":"factorial","arguments":{"n":101}}`:     {422, "arguments.n"},
		`{"task":"factorial","arguments":{"n":1,"k":2}}`: {400, "arguments.k"},
		`{"task":"factorial","priority":9}`:              {400, "priority"},
	} {
		w := ask(r, "POST", "/v1/jobs", body)
		var p fault.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != want.status || p.Field != want.field || p.Detail == "" {
			t.Errorf("%s: %d %+v, %v", body, w.Code, p, err)
		}
	}
}

func TestResult(t *testing.T) {
	digits := make([]byte, 1_000_000)
	for i := range digits {
		digits[i] = byte('0' + rand.IntN(10))
	}
	body := []byte(`{"value":"` + string(digits) + `"}`)
	var kept bytes.Buffer
	zip := gzip.NewWriter(&kept)
	if _, err := zip.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	f := &fakeJobs{job: jobs.Job{ID: "j1", State: jobs.Done, Result: jobs.Result{Bytes: int64(kept.Len())}}}
	// A server, so that a broken answer is seen as a client sees it.
	s := httptest.NewServer(jobRouter(t, f))
	defer s.Close()
	get := func(encoding string, from io.Reader) (*http.Response, []byte, error) {
		t.Helper()
		f.kept = from
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/jobs/j1/result", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Test-User", "ada")
		req.Header.Set("Accept-Encoding", encoding)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return &http.Response{}, nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		got, err := io.ReadAll(resp.Body)
		return resp, got, err
	}
	for encoding, packed := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "*": true, "gzip;q=1.0, *;q=0": true,
		"identity": false, "gzip;q=0": false, "gzip;q=0, *": false, "br": false, "gzipped": false,
	} {
		resp, got, err := get(encoding, bytes.NewReader(kept.Bytes()))
		want := body
		if packed {
			want = kept.Bytes()
		}
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) || (resp.Header.Get("Content-Encoding") == "gzip") != packed || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %d, %d bytes, %v, %v", encoding, resp.StatusCode, len(got), resp.Header, err)
		}
	}
	broken := errors.New("chunk is missing")
	for _, encoding := range []string{"gzip", "identity"} {
		if resp, _, err := get(encoding, failing{err: broken}); err != nil || resp.StatusCode != 503 {
			t.Errorf("%s, broken from the start: %d, %v", encoding, resp.StatusCode, err)
		}
		half := io.MultiReader(bytes.NewReader(kept.Bytes()[:kept.Len()/2]), failing{err: broken})
		if _, _, err := get(encoding, half); err == nil {
			t.Errorf("%s: half a result is taken for a whole one", encoding)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/jobs"
	"pharos/tasks"
)

const (
	browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	program = "application/json"
)

func defaultTaskHandlers(t *testing.T) *taskHandlers {
	t.Helper()
	var limits tasks.Limits
	if err := env.ParseMap(&limits, nil); err != nil {
		t.Fatal(err)
	}
	var offered jobs.GuestConfig
	if err := env.ParseMap(&offered, nil); err != nil {
		t.Fatal(err)
	}
	h, err := newTaskHandlers(limits, offered, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// routeTasks has the tasks and nothing else.
func routeTasks(h *taskHandlers) http.Handler {
	gin.SetMode(gin.TestMode)
	r := gin.New()
	h.register(httpserver.WithHead{RouterGroup: &r.RouterGroup})
	return r
}

func getAs(t *testing.T, h http.Handler, target, accept string) (*http.Response, string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, target, nil)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	resp := rec.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestTasksAnswerPrograms(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for target, want := range map[string]string{
		"/tasks/fibonacci?n=90":                     `{"task":"fibonacci","n":90,"value":"2880067194370816120","sum":"7540113804746346428"}`,
		"/tasks/fibonacci?n=0":                      `{"task":"fibonacci","n":0,"value":"0","sum":"0"}`,
		"/tasks/fibonacci?n=1":                      `{"task":"fibonacci","n":1,"value":"1","sum":"1"}`,
		"/tasks/fibonacci?n=007":                    `{"task":"fibonacci","n":7,"value":"13","sum":"33"}`,
		"/tasks/factorial?n=20":                     `{"task":"factorial","n":20,"value":"2432902008176640000"}`,
		"/tasks/factorial?n=0":                      `{"task":"factorial","n":0,"value":"1"}`,
		"/tasks/ackermann?m=2&n=3":                  `{"task":"ackermann","m":2,"n":3,"value":"9"}`,
		"/tasks/ackermann?n=0&m=0":                  `{"task":"ackermann","m":0,"n":0,"value":"1"}`,
		"/tasks/ackermann?m=3&n=3":                  `{"task":"ackermann","m":3,"n":3,"value":"61"}`,
		"/tasks/ackermann?m=4&n=1":                  `{"task":"ackermann","m":4,"n":1,"value":"65533"}`,
		"/tasks/ackermann?m=2&n=9007199254740991":   `{"task":"ackermann","m":2,"n":9007199254740991,"value":"18014398509481985"}`,
		"/tasks/ackermann?%6D=1&n=%31000000000&":    `{"task":"ackermann","m":1,"n":1000000000,"value":"1000000002"}`,
		"/tasks/ackermann?m=4&n=0":                  `{"task":"ackermann","m":4,"n":0,"value":"13"}`,
		"/tasks/factorial?n=21":                     `{"task":"factorial","n":21,"value":"51090942171709440000"}`,
		"/tasks/fibonacci?n=94":                     `{"task":"fibonacci","n":94,"value":"19740274219868223167","sum":"51680708854858323071"}`,
		"/tasks/fibonacci?n=000000000000000000":     `{"task":"fibonacci","n":0,"value":"0","sum":"0"}`,
		"/tasks/ackermann?m=0&n=9007199254740991":   `{"task":"ackermann","m":0,"n":9007199254740991,"value":"9007199254740992"}`,
		"/tasks/ackermann?m=000&n=0000000000000009": `{"task":"ackermann","m":0,"n":9,"value":"10"}`,
	} {
		for _, accept := range []string{program, "*/*", ""} {
			resp, body := getAs(t, h, target, accept)
			if resp.StatusCode != http.StatusOK || body != want {
				t.Errorf("%s for %q: %d %s, want %s", target, accept, resp.StatusCode, body, want)
			}
			if ct := resp.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
				t.Errorf("%s: Content-Type %q", target, ct)
			}
			if vary := resp.Header.Get("Vary"); vary != "Accept" {
				t.Errorf("%s: Vary %q", target, vary)
			}
		}
	}
}

func TestTasksAnswerBrowsers(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for target, want := range map[string][]string{
		"/": {"<h1>", `href="/tasks/fibonacci"`, `href="/tasks/factorial"`, `href="/tasks/ackermann"`,
			"F(90) = 2880067194370816120", "1,000,000", "100,000", "9,007,199,254,740,991",
			"curl &#39;http://example.com/tasks/ackermann?m=2&amp;n=3&#39;"},
		"/tasks/fibonacci?n=90":     {"<title>F(90) · Pharos</title>", ">2880067194370816120<", ">7540113804746346428<", "19 digits", "?n=89", "?n=91", "Computed in "},
		"/tasks/fibonacci?n=0":      {">0</pre>", "1 digit<", "?n=1"},
		"/tasks/factorial?n=100000": {"456,574 digits", "?n=99999", `tabindex="0"`},
		"/tasks/ackermann?m=4&n=2":  {"19,729 digits", "?m=4&amp;n=1", `value="4"`, `value="2"`},
		"/tasks/fibonacci":          {"<form", `name="n" value=""`, "A whole number from 0 to 1,000,000; as a job, up to 10,000,000."},
		"/tasks/factorial":          {"<form", `name="n" value=""`, "A whole number from 0 to 100,000; as a job, up to 1,000,000."},
		"/tasks/ackermann":          {"<form", `name="m" value=""`, `name="n" value=""`, "<table>"},
	} {
		resp, body := getAs(t, h, target, browser)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: %d %v", target, resp.StatusCode, resp.Header)
		}
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s: the page lacks %q", target, text)
			}
		}
	}
}

func TestStepsEndAtTheLimits(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for target, step := range map[string]string{
		"/tasks/fibonacci?n=0":       `rel="prev"`,
		"/tasks/fibonacci?n=1000000": `rel="next"`,
		"/tasks/ackermann?m=4&n=2":   `rel="next"`,
	} {
		if _, body := getAs(t, h, target, browser); strings.Contains(body, step) {
			t.Errorf("%s has a step %s", target, step)
		}
	}
}

// TestLargestNumberIsWhole reads the longest answer back from both faces.
func TestLargestNumberIsWhole(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	want := tasks.Factorial(100_000).String()
	_, page := getAs(t, h, "/tasks/factorial?n=100000", browser)
	if !strings.Contains(page, ">"+want+"</pre>") {
		t.Error("the page does not hold the whole number")
	}
	_, body := getAs(t, h, "/tasks/factorial?n=100000", program)
	var answer taskJSON
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Value != want {
		t.Errorf("the JSON does not hold the whole number: %v", err)
	}
}

func TestTasksRefuseBadInput(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	const bad, beyond = http.StatusBadRequest, http.StatusUnprocessableEntity
	for _, tc := range []struct {
		target string
		status int
		field  string
		says   string
	}{
		{"/tasks/fibonacci?n=", bad, "n", "empty"},
		{"/tasks/fibonacci?n=-1", bad, "n", "negative"},
		{"/tasks/fibonacci?n=1e9", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=abc", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=1.5", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=+5", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=%00", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=%ff", bad, "n", "whole number"},
		{"/tasks/fibonacci?n=99999999999999999999", bad, "n", "20 digits"},
		{"/tasks/fibonacci?n=" + strings.Repeat("9", 5000), bad, "n", "5000 digits"},
		{"/tasks/fibonacci?n=1&n=2", bad, "n", "2 times"},
		{"/tasks/fibonacci?n=1&n=1", bad, "n", "2 times"},
		{"/tasks/fibonacci?n=1&k=2", bad, "k", `no parameter "k"`},
		{"/tasks/fibonacci?N=1", bad, "N", `no parameter "N"`},
		{"/tasks/fibonacci?m=1&n=2", bad, "m", "takes n"},
		{"/tasks/fibonacci?n=%zz", bad, "", "encoded"},
		{"/tasks/fibonacci?n=1;k=2", bad, "", "encoded"},
		{"/tasks/fibonacci?n=1000001", beyond, "n", "1000000"},
		{"/tasks/fibonacci?n=1000000000", beyond, "n", "FIBONACCI_MAX_N"},
		{"/tasks/factorial?n=-1", bad, "n", "negative"},
		{"/tasks/factorial?n=1e9", bad, "n", "whole number"},
		{"/tasks/factorial?n=1000000000", beyond, "n", "FACTORIAL_MAX_N"},
		{"/tasks/ackermann?m=2", bad, "n", "missing"},
		{"/tasks/ackermann?n=3", bad, "m", "missing"},
		{"/tasks/ackermann?m=-1&n=3", bad, "m", "negative"},
		{"/tasks/ackermann?m=abc&n=3", bad, "m", "whole number"},
		{"/tasks/ackermann?m=2&n=abc", bad, "n", "whole number"},
		{"/tasks/ackermann?m=5&n=0", beyond, "m", "limited to 4"},
		{"/tasks/ackermann?m=5&n=1", beyond, "m", "65536 twos"},
		{"/tasks/ackermann?m=1000000000&n=1", beyond, "m", "limited to 4"},
		{"/tasks/ackermann?m=4&n=3", beyond, "n", "10^19727 digits"},
		{"/tasks/ackermann?m=3&n=1000000000", beyond, "n", "ACKERMANN_M3_MAX_N"},
		{"/tasks/ackermann?m=2&n=9007199254740992", beyond, "n", "ACKERMANN_MAX_N"},
	} {
		resp, body := getAs(t, h, tc.target, program)
		var p fault.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatalf("%.60s: %v in %s", tc.target, err, body)
		}
		code := fault.InvalidParameter
		if tc.status == beyond {
			code = fault.LimitExceeded
		}
		if resp.StatusCode != tc.status || p.Status != tc.status || p.Type != "/problems/"+string(code) || p.Field != tc.field || !strings.Contains(p.Detail, tc.says) {
			t.Errorf("%.60s: %d %s, want %d about %q that says %q", tc.target, resp.StatusCode, body, tc.status, tc.field, tc.says)
		}
		if resp.Header.Get("Content-Type") != fault.ContentType || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%.60s: headers %v", tc.target, resp.Header)
		}

		resp, page := getAs(t, h, tc.target, browser)
		if resp.StatusCode != tc.status || !strings.Contains(page, "<form") || !strings.Contains(page, "<title>Error: ") {
			t.Errorf("%.60s for a browser: %d", tc.target, resp.StatusCode)
		}
		checkErrorPlace(t, tc.target, page, tc.field)
	}
}

// checkErrorPlace checks that the error belongs to its input, or stands above
// the form where the page has no such input.
func checkErrorPlace(t *testing.T, target, page, field string) {
	t.Helper()
	input := regexp.MustCompile(`<input[^>]* name="` + field + `"[^>]*>`).FindString(page)
	if field == "" || input == "" {
		if !strings.Contains(page, `role="alert"`) || strings.Contains(page, "aria-invalid") {
			t.Errorf("%.60s: the error does not stand above the form", target)
		}
		return
	}
	described := regexp.MustCompile(`aria-describedby="([^ "]+)`).FindStringSubmatch(input)
	if !strings.Contains(input, `aria-invalid="true"`) || described == nil || !strings.Contains(page, `<p class="error" id="`+described[1]+`">`) {
		t.Errorf("%.60s: the error does not belong to %s", target, input)
	}
}

func TestMissingParameters(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for target, field := range map[string]string{"/tasks/fibonacci": "n", "/tasks/factorial": "n", "/tasks/ackermann": "m"} {
		resp, body := getAs(t, h, target, program)
		var p fault.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusBadRequest || p.Field != field || !strings.HasPrefix(p.Detail, field+" is missing") {
			t.Errorf("%s: %d %s", target, resp.StatusCode, body)
		}
	}
}

func TestWhatAUserTypesIsEscaped(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for _, target := range []string{
		"/tasks/fibonacci?n=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
		"/tasks/fibonacci?%3Cscript%3E=1",
		"/?n=%22%3E%3Cscript%3E",
	} {
		if _, page := getAs(t, h, target, browser); strings.Contains(page, "<script>") {
			t.Errorf("%s: the page holds it as it came", target)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Host = "evil.example';rm -rf ~;'"
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if strings.Contains(rec.Body.String(), "rm -rf") {
		t.Error("an odd host is put into a command")
	}
}

func TestBusy(t *testing.T) {
	busy := fault.New(fault.Unavailable, "Other large numbers are being computed.")
	busy.RetryAfter = time.Second
	h := defaultTaskHandlers(t)
	for i := range h.tasks {
		h.tasks[i].compute = func(context.Context, []uint64) (tasks.Answer, error) { return tasks.Answer{}, busy }
	}
	for _, accept := range []string{program, browser} {
		resp, body := getAs(t, routeTasks(h), "/tasks/factorial?n=100000", accept)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, busy.Detail) {
			t.Errorf("for %q: %d %v %s", accept, resp.StatusCode, resp.Header, body)
		}
	}
}

func TestHead(t *testing.T) {
	server := httptest.NewServer(routeTasks(defaultTaskHandlers(t)))
	defer server.Close()
	for _, path := range []string{"/", "/tasks/fibonacci?n=90", "/static/page.css"} {
		resp, err := server.Client().Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, resp.StatusCode)
		}
	}
}

func TestNewTaskHandlersNamesTheSetting(t *testing.T) {
	if _, err := newTaskHandlers(tasks.Limits{}, jobs.GuestConfig{}, nil); err == nil || !strings.Contains(err.Error(), "TASKS_CONCURRENCY") {
		t.Errorf("got %v", err)
	}
}

func TestIndexForPrograms(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	const want = `{"tasks":[` +
		`{"task":"fibonacci","parameters":["n"],"example":"/tasks/fibonacci?n=90"},` +
		`{"task":"factorial","parameters":["n"],"example":"/tasks/factorial?n=20"},` +
		`{"task":"ackermann","parameters":["m","n"],"example":"/tasks/ackermann?m=2\u0026n=3"}]}`
	if _, body := getAs(t, h, "/", program); body != want {
		t.Errorf("got %s", body)
	}
	for _, accept := range []string{"*/*", ""} {
		if resp, body := getAs(t, h, "/", accept); !strings.HasPrefix(body, "<!doctype html>") {
			t.Errorf("for %q: %v", accept, resp.Header)
		}
	}
}

package e2e

import (
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTaskPagesMakeJobs sends the forms of the task pages as a browser without
// scripts does, through nginx.
func TestTaskPagesMakeJobs(t *testing.T) {
	s := open(t)
	browser := func() *client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(s)
		c.http.Jar = jar
		c.http.Transport = nil // pages and their forms are no part of the API's document
		return c
	}
	page := []string{"Accept", "text/html"}
	origin := fmt.Sprintf("http://127.0.0.1:%d", s.NginxPort)
	form := []string{"Accept", "text/html", "Content-Type", "application/x-www-form-urlencoded", "Origin", origin}
	title := regexp.MustCompile(`<title>(\w+): `)
	c := browser()

	a := c.want(t, http.StatusUnprocessableEntity, "GET", "/tasks/factorial?n=200000", "", page...)
	if !strings.Contains(string(a.body), `<form action="/tasks/factorial" method="post">`) {
		t.Fatalf("no form: %s", a.body)
	}
	// The client follows the redirect: this is the job's own page.
	a = c.want(t, http.StatusOK, "POST", "/tasks/factorial", url.Values{"n": {"200000"}}.Encode(), form...)
	path := regexp.MustCompile(`/tasks/jobs/[0-9a-f-]{36}`).FindString(string(a.body))
	eventually(t, time.Minute, "the job is done", func() string {
		if path == "" {
			return "no address: " + string(a.body)
		}
		a = c.want(t, http.StatusOK, "GET", path, "", page...)
		if m := title.FindSubmatch(a.body); m == nil || string(m[1]) != "done" {
			return string(a.body)
		}
		return ""
	})
	text := html.UnescapeString(string(a.body))
	if !strings.Contains(text, "973,351 digits") || !strings.Contains(text, "1420225345") || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("the page of the result: %s", text)
	}
	a = c.want(t, http.StatusOK, "GET", path+"/result", "", page...)
	if !strings.HasPrefix(string(a.body), `{"task":"factorial","n":200000,"value":"1420225345`) || len(a.body) < 973_351 || !strings.Contains(a.header.Get("Content-Disposition"), "factorial-200000.json") {
		t.Errorf("the result: %.100s, %d bytes, %v", a.body, len(a.body), a.header)
	}

	browser().want(t, http.StatusNotFound, "GET", path, "", page...)
	foreign := append(form[:4:4], "Origin", "http://evil.example")
	c.want(t, http.StatusForbidden, "POST", "/tasks/factorial", "n=200001", foreign...)
	// Nobody works while jobs is away: there is time to see one wait, and to
	// cancel it.
	s.supervise(t, "stop", "jobs")
	defer s.supervise(t, "start", "jobs")
	other := browser()
	a = other.want(t, http.StatusOK, "POST", "/tasks/fibonacci", "n=5000000", form...)
	path = regexp.MustCompile(`/tasks/jobs/[0-9a-f-]{36}`).FindString(string(a.body))
	if m := title.FindSubmatch(a.body); m == nil || string(m[1]) != "queued" || !strings.Contains(string(a.body), `http-equiv="refresh"`) {
		t.Errorf("a job that waits: %s", a.body)
	}
	other.want(t, http.StatusTooManyRequests, "POST", "/tasks/fibonacci", "n=5000001", form...)
	a = other.want(t, http.StatusOK, "POST", path+"/cancellation", "", form...)
	if m := title.FindSubmatch(a.body); m == nil || string(m[1]) != "cancelled" {
		t.Errorf("a cancelled job: %s", a.body)
	}
}

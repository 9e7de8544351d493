package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"pharos/console/page"
	"pharos/console/pagetest"
)

type named struct{ ID, Asked string }

func (n named) PageTitle() string { return "Thing " + n.ID }

func newThings(t *testing.T) *pagetest.Stand {
	s := pagetest.New(t)
	files := fstest.MapFS{"thing.html": {Data: []byte(`{{define "main"}}{{template "head" .}}<p>{{.View.Asked}}</p><form method="post">{{template "csrf" .}}</form>{{end}}`)}}
	s.Add(page.Page{
		Name: "thing", Title: "Thing", Path: "/things/:id", Need: page.Anybody, Files: files, Hidden: true,
		View: func(r *page.Request) (any, error) {
			if r.Param("id") == "old" {
				return nil, page.Elsewhere("/things/new")
			}
			return named{ID: r.Param("id")}, nil
		},
		Post: func(r *page.Request) (any, error) {
			span, err := r.SpanOf(r.PostForm("from"), "now")
			return named{r.Param("id"), span.Length().String()}, err
		},
	})
	s.SignIn("viewer")
	return s
}

func TestPageOfOneThing(t *testing.T) {
	s := newThings(t)
	if status, body := s.Get("/things/7?from=now-6h"); status != http.StatusOK || !strings.Contains(body, "<title>Thing 7") || !strings.Contains(body, "<h1>Thing 7") || !strings.Contains(body, `href="/things/7.json?from=now-6h"`) {
		t.Errorf("%d %s", status, body)
	}
	var v named
	if s.JSON("/things/7.json", &v); v.ID != "7" {
		t.Errorf("its JSON is of %q", v.ID)
	}
	if status, _ := s.Get("/things/old"); status != http.StatusSeeOther {
		t.Errorf("moved: %d", status)
	}
}

func TestFormsThatAsk(t *testing.T) {
	s := newThings(t)
	form := url.Values{"csrf": {s.Token("/things/7")}, "from": {"now-2h"}}
	if status, _, body := s.Post("/things/7", form); status != http.StatusOK || !strings.Contains(body, "<p>2h0m0s</p>") {
		t.Errorf("%d %s", status, body)
	}
	form.Set("from", "soon")
	if status, _, body := s.Post("/things/7", form); status != http.StatusBadRequest || !strings.Contains(body, "<code>from</code>") {
		t.Errorf("%d %s", status, body)
	}
	form.Set("csrf", "x")
	if status, _, body := s.Post("/things/7", form); status != http.StatusForbidden || strings.Contains(body, "2h0m0s") {
		t.Errorf("%d %s", status, body)
	}
}

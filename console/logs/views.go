package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
)

// SavedView is a search that somebody keeps by a name.
type SavedView struct {
	Name   string `json:"name"`
	Owner  string `json:"owner"`
	Query  string `json:"query"` // the page's parameters
	Shared bool   `json:"shared"`
	// Own says that the reader may delete it.
	Own bool `json:"-"`
}

const viewsPath = "/v1/views/logs"

// viewsTimeout is how long the lines wait for what is beside them.
const viewsTimeout = 3 * time.Second

// views are the reader's own and those that others share.
func (l *Logs) views(ctx context.Context, r *page.Request) ([]SavedView, error) {
	ctx, cancel := context.WithTimeout(ctx, viewsTimeout)
	defer cancel()
	var answer struct {
		Items []SavedView `json:"items"`
	}
	err := l.watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, viewsPath, nil, &answer)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "The watcher, which keeps saved views, did not answer in time."), err)
	}
	if err != nil {
		return nil, err
	}
	for i := range answer.Items {
		answer.Items[i].Own = answer.Items[i].Owner == r.Reader.User
	}
	return answer.Items, nil
}

// Link is the page as it was saved. Whatever was saved, it leads nowhere else.
func (v SavedView) Link() string { return withQuery(v.Query) }

func withQuery(query string) string {
	q, err := url.ParseQuery(query)
	if err != nil || len(q) == 0 {
		return "/logs"
	}
	return "/logs?" + q.Encode()
}

func (l *Logs) saveView(r *page.Request) (string, error) {
	query := r.PostForm("query")
	view := struct {
		Query  string `json:"query"`
		Shared bool   `json:"shared"`
	}{query, r.PostForm("shared") == "true"}
	err := l.watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodPut, viewsPath+"/"+url.PathEscape(r.PostForm("name")), view, nil)
	return withQuery(query), err
}

func (l *Logs) deleteView(r *page.Request) (string, error) {
	err := l.watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodDelete, viewsPath+"/"+url.PathEscape(r.PostForm("name")), nil, nil)
	return withQuery(r.PostForm("query")), err
}

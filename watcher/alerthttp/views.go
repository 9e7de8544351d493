package alerthttp

import (
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher/viewstore"
)

func (a *api) listViews(c *gin.Context, by Caller) (int, any, error) {
	return list(a.Views.List(c.Request.Context(), c.Param("page"), by.User))
}

func (a *api) getView(c *gin.Context, by Caller) (int, any, error) {
	v, err := a.Views.Find(c.Request.Context(), c.Param("page"), c.Param("name"), by.User)
	return http.StatusOK, v, err
}

type viewBody struct {
	Query  string `json:"query"`
	Shared bool   `json:"shared"`
}

// A page's query is part of a URL, which servers and browsers take so long.
const (
	mostQuery    = 8000
	mostViewName = 100
)

func (a *api) putView(c *gin.Context, by Caller) (int, any, error) {
	var body viewBody
	if err := decode(c, &body); err != nil {
		return 0, nil, err
	}
	v := viewstore.View{Page: c.Param("page"), Name: c.Param("name"), Owner: by.User, Query: body.Query, Shared: body.Shared, SavedAt: a.Now().UTC()}
	for field, text := range map[string]string{"page": v.Page, "name": v.Name} {
		if n := utf8.RuneCountInString(text); n < 1 || n > mostViewName || !utf8.ValidString(text) {
			return 0, nil, fault.Field(fault.InvalidParameter, field, "It has 1 to %d characters.", mostViewName)
		}
	}
	if len(v.Query) > mostQuery {
		return 0, nil, fault.Field(fault.InvalidParameter, "query", "It may have at most %d bytes.", mostQuery)
	}
	return http.StatusOK, v, a.Views.Save(c.Request.Context(), v)
}

func (a *api) deleteView(c *gin.Context, by Caller) (int, any, error) {
	return http.StatusNoContent, nil, a.Views.Delete(c.Request.Context(), c.Param("page"), c.Param("name"), by.User)
}

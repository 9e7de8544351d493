package feedhttp

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"pharos/feed"
	"pharos/internal/httpserver"
)

// The operators' calls are made for no user: api has checked the operator's
// key, and the service credential says that it is api that calls.

func (s *Server) registerAdmin(admin *gin.RouterGroup) {
	admin.GET("/users", s.account)
	admin.GET("/users/:id/requests", s.accountRequests)
	admin.PUT("/users/:id/suspension", s.suspend)
	admin.DELETE("/users/:id/suspension", s.reactivate)
}

func (s *Server) account(c *gin.Context) {
	a, err := s.Service.Account(c.Request.Context(), c.Query("handle"))
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, a)
}

func (s *Server) accountRequests(c *gin.Context) {
	limit, err := limit(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	page, err := feed.RequestsOf(c.Request.Context(), s.Requests, c.Param("id"), limit, c.Query("cursor"))
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

func (s *Server) suspend(c *gin.Context) {
	s.answer(c, s.Service.Suspend(c.Request.Context(), c.Param("id")))
}

func (s *Server) reactivate(c *gin.Context) {
	s.answer(c, s.Service.Reactivate(c.Request.Context(), c.Param("id")))
}

// Account looks a user up by handle, for an operator.
func (c *Client) Account(ctx context.Context, call Call, handle string) (feed.Account, error) {
	var a feed.Account
	return a, c.json(ctx, call, http.MethodGet, "/v1/admin/users?handle="+url.QueryEscape(handle), nil, &a)
}

// AccountRequests returns a page of a user's requests, for an operator; see
// [feed.RequestPage].
func (c *Client) AccountRequests(ctx context.Context, call Call, id string, limit int, cursor string) (Answer, error) {
	return c.list(ctx, call, "/v1/admin/users/"+url.PathEscape(id)+"/requests", limit, cursor)
}

// Suspend keeps a user from acting, for an operator.
func (c *Client) Suspend(ctx context.Context, call Call, id string) error {
	return c.json(ctx, call, http.MethodPut, "/v1/admin/users/"+url.PathEscape(id)+"/suspension", nil, nil)
}

// Reactivate ends a suspension, for an operator.
func (c *Client) Reactivate(ctx context.Context, call Call, id string) error {
	return c.json(ctx, call, http.MethodDelete, "/v1/admin/users/"+url.PathEscape(id)+"/suspension", nil, nil)
}

package api

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2"

	"pharos/feed"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// decode reads and checks a body in a span of its own.
func decode(c *gin.Context, v any, validate func() error) bool {
	span, _ := apm.StartSpan(c.Request.Context(), "validate request", "app.validate")
	defer span.End()
	err := httpserver.DecodeJSON(c, v, MaxBody)
	if err == nil {
		err = validate()
	}
	if err != nil {
		httpserver.Problem(c, err)
	}
	return err == nil
}

func (s *Server) signUp(c *gin.Context) {
	var in feed.SignUp
	if !decode(c, &in, func() error { return in.Validate() }) {
		return
	}
	u, err := s.feed.SignUp(c.Request.Context(), call(c), in)
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("sign up: %w", err))
		return
	}
	httpserver.SetUser(c, u.ID)
	c.JSON(http.StatusCreated, u)
}

func (s *Server) signOut(c *gin.Context) {
	s.forget(c)
	s.answer(c, "sign out", s.feed.SignOut(c.Request.Context(), call(c)))
}

// answer ends a request that has nothing to return.
func (s *Server) answer(c *gin.Context, doing string, err error) {
	if err != nil {
		s.problem(c, fmt.Errorf("%s: %w", doing, err))
		return
	}
	c.Status(http.StatusNoContent)
}

// problem answers with err. Where feed says that the session has ended or the
// key was revoked, that holds for this instance from now on.
func (s *Server) problem(c *gin.Context, err error) {
	switch fault.From(err).Code {
	case fault.SessionEnded, fault.InvalidKey, fault.UserSuspended:
		s.forget(c)
	}
	httpserver.Problem(c, err)
}

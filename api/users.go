package api

import (
	"fmt"
	"net/http"
	"time"

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

type credentials struct {
	Handle   string `json:"handle"`
	Password string `json:"password"`
}

func (in credentials) validate() error {
	switch {
	case in.Handle == "":
		return fault.Field(fault.InvalidParameter, "handle", "handle is missing.")
	case in.Password == "":
		return fault.Field(fault.InvalidParameter, "password", "password is missing.")
	case len(in.Handle) > 100 || len(in.Password) > feed.MaxPassword:
		return fault.New(fault.InvalidCredentials, "Check the handle and the password.")
	}
	return nil
}

type token struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (s *Server) signIn(c *gin.Context) {
	var in credentials
	if !decode(c, &in, func() error { return in.validate() }) {
		return
	}
	session, err := s.feed.SignIn(c.Request.Context(), call(c), in.Handle, in.Password)
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("sign in: %w", err))
		return
	}
	httpserver.SetUser(c, session.User.ID)
	signed, err := s.tokens.sign(session)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusCreated, token{signed, session.ExpiresAt})
}

func (s *Server) signOut(c *gin.Context) {
	in := call(c)
	s.active.forget(in.Identity.SessionID)
	s.answer(c, "sign out", s.feed.SignOut(c.Request.Context(), in))
}

// answer ends a request that has nothing to return.
func (s *Server) answer(c *gin.Context, doing string, err error) {
	if err != nil {
		s.problem(c, fmt.Errorf("%s: %w", doing, err))
		return
	}
	c.Status(http.StatusNoContent)
}

// problem answers with err. Where feed says that the session has ended, that
// holds for this instance from now on.
func (s *Server) problem(c *gin.Context, err error) {
	if fault.Is(err, fault.SessionEnded) || fault.Is(err, fault.UserSuspended) {
		if id := call(c).Identity; id != nil {
			s.active.forget(id.SessionID)
		}
	}
	httpserver.Problem(c, err)
}

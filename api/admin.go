package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

const apiKeyHeader = "X-Api-Key"

// operator lets a request pass that shows OPERATOR_API_KEY.
func operator(key env.Secret) gin.HandlerFunc {
	want := sha256.Sum256([]byte(key.Reveal()))
	return func(c *gin.Context) {
		shown := c.GetHeader(apiKeyHeader)
		got := sha256.Sum256([]byte(shown))
		switch {
		case shown == "":
			httpserver.Problem(c, fault.New(fault.Unauthenticated, "This is for operators: send the operator's key as %s.", apiKeyHeader))
		case subtle.ConstantTimeCompare(want[:], got[:]) != 1:
			httpserver.Problem(c, fault.New(fault.Forbidden, "The key is not an operator's."))
		}
	}
}

func (s *Server) account(c *gin.Context) {
	handle := c.Query("handle")
	if handle == "" {
		httpserver.Problem(c, fault.Field(fault.InvalidParameter, "handle", "handle is missing."))
		return
	}
	a, err := s.feed.Account(c.Request.Context(), call(c), handle)
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("look up account: %w", err))
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, a)
}

func (s *Server) accountRequests(c *gin.Context) {
	limit, cursor, err := page(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	answer, err := s.feed.AccountRequests(c.Request.Context(), call(c), c.Param("id"), limit, cursor)
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("read requests of a user: %w", err))
		return
	}
	encode(c, answer)
}

func (s *Server) suspend(c *gin.Context) {
	s.answer(c, "suspend user", s.feed.Suspend(c.Request.Context(), call(c), c.Param("id")))
}

func (s *Server) reactivate(c *gin.Context) {
	s.answer(c, "reactivate user", s.feed.Reactivate(c.Request.Context(), call(c), c.Param("id")))
}

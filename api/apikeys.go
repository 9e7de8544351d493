package api

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"pharos/feed"
)

func (s *Server) createAPIKey(c *gin.Context) {
	var in feed.NewAPIKey
	if !decode(c, &in, func() error { _, err := in.Validate(s.now()); return err }) {
		return
	}
	k, err := s.feed.CreateAPIKey(c.Request.Context(), call(c), in)
	if err != nil {
		s.problem(c, fmt.Errorf("create API key: %w", err))
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusCreated, k)
}

func (s *Server) listAPIKeys(c *gin.Context) {
	answer, err := s.feed.APIKeys(c.Request.Context(), call(c))
	if err != nil {
		s.problem(c, fmt.Errorf("list API keys: %w", err))
		return
	}
	encode(c, answer)
}

func (s *Server) revokeAPIKey(c *gin.Context) {
	id := c.Param("id")
	s.answer(c, "revoke API key", s.feed.RevokeAPIKey(c.Request.Context(), call(c), id))
	s.forgetKey(id)
}

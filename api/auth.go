package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2"

	"pharos/feed"
	"pharos/feed/feedhttp"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

const keyPrincipal = "api.principal"

// authenticate lets a request pass whose user may act: signed in, shown by a
// bearer token, or by an API key that has the scope. With the scope "" no key
// is taken. Signing out passes with any valid token.
func (s *Server) authenticate(scope feed.Scope) gin.HandlerFunc {
	return func(c *gin.Context) {
		span, ctx := apm.StartSpan(c.Request.Context(), "validate user", "app.validate")
		defer span.End()
		key := c.GetHeader(apiKeyHeader)
		var err error
		switch {
		case key == "":
			err = s.checkToken(ctx, c)
		case c.GetHeader("Authorization") != "":
			err = fault.Field(fault.InvalidParameter, apiKeyHeader, "Send Authorization or %s, not both.", apiKeyHeader)
		case scope == "":
			err = fault.New(fault.Forbidden, "This takes no API key: send the token of POST /v1/sessions as Authorization: Bearer.")
		default:
			err = s.checkKey(ctx, c, key, scope)
		}
		if err != nil {
			httpserver.Problem(c, err)
		}
	}
}

func (s *Server) checkToken(ctx context.Context, c *gin.Context) error {
	token, ok := bearer(c.Request)
	if !ok {
		return fault.New(fault.Unauthenticated, "Send the token of POST /v1/sessions as Authorization: Bearer.")
	}
	p, err := s.tokens.verify(token)
	if err != nil {
		return err
	}
	httpserver.SetUser(c, p.userID)
	c.Set(keyPrincipal, p)
	if c.Request.Method == http.MethodDelete && c.FullPath() == "/v1/sessions/current" {
		return nil
	}
	if _, err := s.sessions.get(ctx, p.session(), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.feed.CheckSession(ctx, call(c))
	}); err != nil {
		return fmt.Errorf("check that the user may act: %w", err)
	}
	return nil
}

// checkKey asks feed what the key allows, as seldom as it asks for a session.
// What is known is found by the key's hash: the time that the search takes
// tells nothing of any key.
func (s *Server) checkKey(ctx context.Context, c *gin.Context, key string, scope feed.Scope) error {
	if _, ok := feed.APIKeyID(key); !ok {
		return feed.NoAPIKey()
	}
	hash := sha256.Sum256([]byte(key))
	g, err := s.grants.get(ctx, string(hash[:]), func(ctx context.Context) (feed.Grant, error) {
		return s.feed.VerifyAPIKey(ctx, call(c), key)
	})
	if err != nil {
		return fmt.Errorf("check API key: %w", err)
	}
	httpserver.SetUser(c, g.UserID)
	httpserver.SetAPIKey(c, g.KeyID)
	c.Set(keyPrincipal, principal{userID: g.UserID, keyID: g.KeyID})
	switch {
	case g.Expired(s.now()):
		return feed.APIKeyExpired()
	case !g.Allows(scope):
		return fault.New(fault.Forbidden, "The API key lacks the scope %s.", string(scope))
	}
	return nil
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

func principalOf(c *gin.Context) principal {
	v, _ := c.Get(keyPrincipal)
	p, _ := v.(principal)
	return p
}

// userID is the user of an authenticated request.
func userID(c *gin.Context) string { return principalOf(c).userID }

// caller is what a request counts for: the user, or the API key, so that a
// program of the user's leaves the user something to ask for.
func caller(c *gin.Context) string {
	if p := principalOf(c); p.keyID != "" {
		return "key:" + p.keyID
	}
	return userID(c)
}

// call is what a call to feed for this request carries.
func call(c *gin.Context) feedhttp.Call {
	out := feedhttp.Call{RequestID: httpserver.RequestID(c)}
	if p := principalOf(c); p.userID != "" {
		out.Identity = &feedhttp.Identity{UserID: p.userID, SessionID: p.sessionID, KeyID: p.keyID}
	}
	return out
}

// forget makes this instance ask feed again whether the request's user may act.
func (s *Server) forget(c *gin.Context) {
	if p := principalOf(c); p.keyID != "" {
		s.forgetKey(p.keyID)
	} else {
		s.sessions.forget(p.session())
	}
}

func (s *Server) forgetKey(id string) {
	s.grants.forgetAll(func(g feed.Grant) bool { return g.KeyID == id })
}

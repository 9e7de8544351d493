package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2"

	"pharos/feed/feedhttp"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

const keyPrincipal = "api.principal"

// authenticate lets a request pass whose bearer token is valid and whose user
// may act. Signing out passes with any valid token.
func (s *Server) authenticate(c *gin.Context) {
	span, ctx := apm.StartSpan(c.Request.Context(), "validate user", "app.validate")
	defer span.End()
	token, ok := bearer(c.Request)
	if !ok {
		httpserver.Problem(c, fault.New(fault.Unauthenticated, "Send the token of POST /v1/sessions as Authorization: Bearer."))
		return
	}
	p, err := s.tokens.verify(token)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	httpserver.SetUser(c, p.userID)
	c.Set(keyPrincipal, p)
	if c.Request.Method == http.MethodDelete && c.FullPath() == "/v1/sessions/current" {
		return
	}
	if err := s.active.check(ctx, p.sessionID, func(ctx context.Context) error {
		return s.feed.CheckSession(ctx, call(c))
	}); err != nil {
		httpserver.Problem(c, fmt.Errorf("check that the user may act: %w", err))
	}
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// userID is the user of an authenticated request.
func userID(c *gin.Context) string {
	v, _ := c.Get(keyPrincipal)
	p, _ := v.(principal)
	return p.userID
}

// call is what a call to feed for this request carries.
func call(c *gin.Context) feedhttp.Call {
	out := feedhttp.Call{RequestID: httpserver.RequestID(c)}
	if v, ok := c.Get(keyPrincipal); ok {
		p, _ := v.(principal)
		out.Identity = &feedhttp.Identity{UserID: p.userID, SessionID: p.sessionID}
	}
	return out
}

// activeSessions remembers for a short time which sessions may act, so that
// feed is not asked at every request; while feed is away, what was known last
// holds for longer. It remembers no refusals, and its size is bounded: when it
// is full, what is of no more use is thrown out, and if nothing is, everything.
type activeSessions struct {
	freshFor, staleFor time.Duration
	size               int
	now                func() time.Time

	mu    sync.Mutex
	known map[string]time.Time // session id → when feed was asked last
}

func newActiveSessions(freshFor, staleFor time.Duration, size int, now func() time.Time) *activeSessions {
	return &activeSessions{freshFor: freshFor, staleFor: staleFor, size: size, now: now, known: map[string]time.Time{}}
}

func (a *activeSessions) check(ctx context.Context, id string, ask func(context.Context) error) error {
	a.mu.Lock()
	last, ok := a.known[id]
	a.mu.Unlock()
	now := a.now()
	if ok && now.Sub(last) < a.freshFor {
		return nil
	}
	err := ask(ctx)
	switch {
	case err == nil:
		a.remember(id, now)
	case isOutage(err):
		if ok && now.Sub(last) < a.staleFor {
			return nil
		}
	default:
		a.forget(id)
	}
	return err
}

func (a *activeSessions) remember(id string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= a.size {
		for id, last := range a.known {
			if at.Sub(last) >= a.staleFor {
				delete(a.known, id)
			}
		}
		if len(a.known) >= a.size {
			clear(a.known)
		}
	}
	a.known[id] = at
}

func (a *activeSessions) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, id)
}

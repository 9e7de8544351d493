package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pharos/feed"
	"pharos/internal/attempts"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

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
	}
	return nil
}

type token struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// signIn gives a token for a handle and its password. After some failures it
// answers 429 until a time is over, without a look at the password: if the
// right one were let through meanwhile, guessing would not be slowed at all.
// Nor is a connection held for that time: that would cost us more than the
// guesser.
func (s *Server) signIn(c *gin.Context) {
	var in credentials
	if !decode(c, &in, func() error { return in.validate() }) {
		return
	}
	attempt, wait, err := s.SignIns.Begin(c.Request.Context(), in.Handle, c.ClientIP())
	if err != nil {
		httpserver.LogFault(c, fmt.Errorf("failed sign-ins are counted by this instance only: %w", err))
	}
	if wait > 0 {
		s.logSignIn(c, zapcore.WarnLevel, "sign-in-slowed", in.Handle)
		f := fault.New(fault.TooManyRequests, "Sign-in has failed too often with this handle or from your address. Wait, then try again.")
		f.RetryAfter = wait
		httpserver.Problem(c, f)
		return
	}
	session, err := s.startSession(c, in)
	s.endAttempt(c, attempt, in.Handle, err)
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

func (s *Server) startSession(c *gin.Context, in credentials) (feed.Session, error) {
	const longestHandle = 100
	if len(in.Handle) > longestHandle || len(in.Password) > feed.MaxPassword {
		return feed.Session{}, fault.New(fault.InvalidCredentials, "Check the handle and the password.") // nobody's
	}
	return s.feed.SignIn(c.Request.Context(), call(c), in.Handle, in.Password)
}

// endAttempt tells the counters how a sign-in ended, and the log when it failed.
func (s *Server) endAttempt(c *gin.Context, attempt *attempts.Attempt, handle string, outcome error) {
	// A client that goes away must not keep its failure from being counted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), time.Second)
	defer cancel()
	var err error
	switch {
	case outcome == nil, fault.Is(outcome, fault.UserSuspended): // told only to who knows the password
		err = attempt.Succeeded(ctx)
	case fault.Is(outcome, fault.InvalidCredentials):
		s.logSignIn(c, zapcore.InfoLevel, "sign-in-failed", handle)
		err = attempt.Failed(ctx)
	case isOutage(outcome) && c.Request.Context().Err() == nil:
		err = attempt.Void(ctx)
	}
	if err != nil {
		httpserver.LogFault(c, err)
	}
}

// logSignIn writes a line about a sign-in that did not come about. What can't be
// a handle is left out: it may be a password in the wrong field.
func (s *Server) logSignIn(c *gin.Context, level zapcore.Level, action, handle string) {
	ctx := c.Request.Context()
	fields := append(apmzap.TraceContext(ctx),
		zap.String("event.kind", "event"),
		zap.Strings("event.category", []string{"authentication"}),
		zap.Strings("event.type", []string{"start"}),
		zap.String("event.action", action),
		zap.String("event.outcome", "failure"),
		zap.String("client.ip", c.ClientIP()),
		zap.String("http.request.id", httpserver.RequestID(c)),
	)
	if feed.ValidHandle(handle) {
		fields = append(fields, zap.String("user.name", handle))
	}
	s.tel.Log.Log(level, action, fields...)
}

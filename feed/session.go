package feed

import (
	"context"
	"time"
)

// Session is one sign-in of a user. It lives until it expires or the user
// signs out.
type Session struct {
	ID        string    `json:"id"`
	User      User      `json:"user"`
	ExpiresAt time.Time `json:"expires_at"`
}

// SessionStore keeps sessions.
type SessionStore interface {
	CreateSession(ctx context.Context, id, userID string, expiresAt time.Time) error
	// DeleteSession ends the session; one that is not there is no error.
	DeleteSession(ctx context.Context, id string) error
	// SessionExists reports whether the user has the session and it has not
	// expired at the given time.
	SessionExists(ctx context.Context, id, userID string, now time.Time) (bool, error)
}

// Standing is what a session is worth just now.
type Standing string

// The standings of a session.
const (
	Active    Standing = "active"
	Ended     Standing = "ended" // signed out, expired, or never there
	Suspended Standing = "suspended"
)

// SessionCache remembers standings for all instances: of sessions, and of API
// keys under names that are no session's id.
type SessionCache interface {
	// Standing returns what is remembered of the session, "" for nothing, and
	// whether it is recent enough to be relied on while the store is there.
	Standing(ctx context.Context, sessionID string) (s Standing, fresh bool, err error)
	// Remember keeps the standing, unless the session's end is remembered: what
	// was read from the store must not overwrite an end that came since.
	Remember(ctx context.Context, sessionID string, s Standing) error
	// End remembers that the session has ended, whatever was there.
	End(ctx context.Context, sessionID string) error
}

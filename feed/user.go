package feed

import (
	"context"
	"regexp"
	"time"
	"unicode/utf8"

	"pharos/internal/fault"
)

// User is somebody who can sign in, post and follow.
type User struct {
	ID          string     `json:"id"`
	Handle      string     `json:"handle"`
	Name        string     `json:"name"`
	CreatedAt   time.Time  `json:"-"`
	SuspendedAt *time.Time `json:"-"` // nil while the user is active
}

// UserStore keeps users.
type UserStore interface {
	// CreateUser adds u with the hash of its password. A handle that is taken
	// is fault.Conflict.
	CreateUser(ctx context.Context, u User, passwordHash string) error
	// UserByHandle returns the user and the hash of its password;
	// fault.NotFound where there is none.
	UserByHandle(ctx context.Context, handle string) (User, string, error)
	// User returns the user with the id; fault.NotFound where there is none.
	User(ctx context.Context, id string) (User, error)
	// Users returns those of the users that exist, in no order.
	Users(ctx context.Context, ids []string) ([]User, error)
	// SetSuspended suspends the user from the given time on, or reactivates
	// it with nil; fault.NotFound where there is none.
	SetSuspended(ctx context.Context, id string, at *time.Time) error
}

// SignUp is what a new user tells of itself.
type SignUp struct {
	Handle   string `json:"handle"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// The limits of what users write.
const (
	MinPassword = 8   // characters
	MaxPassword = 256 // bytes: hashing more only costs time
	MaxName     = 80  // characters
	MaxText     = 2000
)

var handlePattern = regexp.MustCompile(`^[a-z0-9_]{3,30}$`)

// ValidHandle reports whether a user can have the handle.
func ValidHandle(handle string) bool { return handlePattern.MatchString(handle) }

// Validate returns a fault.InvalidParameter that names the first bad field.
func (s SignUp) Validate() error {
	switch {
	case !ValidHandle(s.Handle):
		return fault.Field(fault.InvalidParameter, "handle", "handle must be 3 to 30 of a-z, 0-9 and _.")
	case s.Name == "" || !utf8.ValidString(s.Name) || utf8.RuneCountInString(s.Name) > MaxName:
		return fault.Field(fault.InvalidParameter, "name", "name must have 1 to %d characters.", MaxName)
	case utf8.RuneCountInString(s.Password) < MinPassword || len(s.Password) > MaxPassword:
		return fault.Field(fault.InvalidParameter, "password", "password must have at least %d characters and at most %d bytes.", MinPassword, MaxPassword)
	}
	return nil
}

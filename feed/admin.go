package feed

import (
	"context"
	"fmt"
	"time"

	"pharos/internal/fault"
)

// Account is a user as support staff see it.
type Account struct {
	User
	CreatedAt   time.Time  `json:"created_at"`
	SuspendedAt *time.Time `json:"suspended_at"` // null while the user is active
}

// Account returns the user with the handle; fault.NotFound where there is none.
func (s *Service) Account(ctx context.Context, handle string) (Account, error) {
	u, _, err := s.store.UserByHandle(ctx, handle)
	if fault.Is(err, fault.NotFound) {
		return Account{}, fault.Field(fault.NotFound, "handle", "There is no user with this handle.")
	}
	if err != nil {
		return Account{}, fmt.Errorf("look up account: %w", err)
	}
	return Account{u, u.CreatedAt, u.SuspendedAt}, nil
}

// Suspend keeps the user from acting; it holds everywhere once what is
// remembered of the user's sessions has expired (30 s at most). Suspending
// again keeps the first time.
func (s *Service) Suspend(ctx context.Context, id string) error {
	u, err := s.store.User(ctx, id)
	if err == nil && u.SuspendedAt == nil {
		now := s.now().UTC().Truncate(time.Millisecond)
		err = s.store.SetSuspended(ctx, id, &now)
	}
	if err != nil {
		return fmt.Errorf("suspend user: %w", err)
	}
	return nil
}

// Reactivate ends a suspension.
func (s *Service) Reactivate(ctx context.Context, id string) error {
	if err := s.store.SetSuspended(ctx, id, nil); err != nil {
		return fmt.Errorf("reactivate user: %w", err)
	}
	return nil
}

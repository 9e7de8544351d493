// Package feed is the social feed: users, whom they follow, what they post,
// and the timeline of their friends' posts.
//
// The nouns, their rules and the interfaces of the stores are here; the stores
// are in mongostore, rediscache and sqlstore, the wire between the processes
// api and feed in feedhttp.
package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"pharos/funcmetrics"
	"pharos/internal/fault"
)

// Store is the truth about users and posts.
type Store interface {
	UserStore
	SessionStore
	APIKeyStore
	PostStore
	FollowStore
}

// Report is told of what failed but could be done without.
type Report func(ctx context.Context, err error)

// Options are the parts that a Service is made from. All are needed.
type Options struct {
	Store      Store
	Cache      TimelineCache
	Sessions   SessionCache
	Hasher     *Hasher
	SessionTTL time.Duration
	// KeysPerUser is how many API keys a user may have.
	KeysPerUser int
	// FreshFor is how long a kept page of a timeline is taken for up to date
	// without a look at the stores, as long as no change was told.
	FreshFor time.Duration
	// Direct is how many timelines are read from the stores at once while the
	// cache is away.
	Direct int
	// MakeWithin is the time that making a page of a timeline may take.
	MakeWithin time.Duration
	Now        func() time.Time
	Report     Report
	// Recorder measures what the service does; nil measures nothing.
	Recorder *funcmetrics.Recorder
}

// Service does what users ask for.
type Service struct {
	store       Store
	cache       TimelineCache
	sessions    SessionCache
	hasher      *Hasher
	sessionTTL  time.Duration
	keysPerUser int
	freshFor    time.Duration
	direct      *semaphore.Weighted
	now         func() time.Time
	report      Report
	changes     *changes
	uses        *keyUses
	pages       *pages
	recorder    *funcmetrics.Recorder
}

// NewService returns a Service; the caller runs [Service.Run] beside it.
func NewService(o Options) *Service {
	s := &Service{
		store: o.Store, cache: o.Cache, sessions: o.Sessions, hasher: o.Hasher,
		sessionTTL: o.SessionTTL, keysPerUser: o.KeysPerUser, freshFor: o.FreshFor, direct: semaphore.NewWeighted(int64(o.Direct)),
		now: o.Now, report: o.Report, recorder: o.Recorder,
		changes: &changes{cache: o.Cache, report: o.Report, pending: map[Origin]struct{}{}},
		uses:    newKeyUses(o.Store, o.Report, o.Now),
	}
	s.pages = &pages{make: s.makePage, limit: o.MakeWithin, report: o.Report}
	return s
}

// Run does the service's work in the background until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.changes.run(ctx) })
	wg.Go(func() { s.uses.run(ctx) })
	wg.Wait()
	return nil
}

// SignUp adds a user. A taken handle is fault.Conflict.
func (s *Service) SignUp(ctx context.Context, in SignUp) (_ User, err error) {
	defer s.recorder.Track("feed.SignUp")(&err)
	if err := in.Validate(); err != nil {
		return User{}, err
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return User{}, fmt.Errorf("sign up: %w", err)
	}
	id, at, err := newID()
	if err != nil {
		return User{}, err
	}
	u := User{ID: id, Handle: in.Handle, Name: in.Name, CreatedAt: at}
	if err := s.store.CreateUser(ctx, u, hash); err != nil {
		return User{}, fmt.Errorf("sign up: %w", err)
	}
	return u, nil
}

// SignIn starts a session. A wrong password and an unknown handle are the same
// fault.InvalidCredentials after the same time; a suspended user is told so
// only with the right password.
func (s *Service) SignIn(ctx context.Context, handle, password string) (_ Session, err error) {
	defer s.recorder.Track("feed.SignIn")(&err)
	wrong := fault.New(fault.InvalidCredentials, "Check the handle and the password.")
	u, hash, err := s.store.UserByHandle(ctx, handle)
	known := err == nil
	if !known {
		if !fault.Is(err, fault.NotFound) {
			return Session{}, fmt.Errorf("sign in: %w", err)
		}
		hash = s.hasher.decoy
	}
	ok, err := s.hasher.Verify(ctx, password, hash)
	if err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	if !ok || !known {
		return Session{}, wrong
	}
	if u.SuspendedAt != nil {
		return Session{}, suspended()
	}
	id, _, err := newID()
	if err != nil {
		return Session{}, err
	}
	session := Session{ID: id, User: u, ExpiresAt: s.now().Add(s.sessionTTL).UTC().Truncate(time.Second)}
	if err := s.store.CreateSession(ctx, id, u.ID, session.ExpiresAt); err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	return session, nil
}

// SignOut ends the session, at once and for every instance.
func (s *Service) SignOut(ctx context.Context, sessionID, userID string) (err error) {
	defer s.recorder.Track("feed.SignOut")(&err)
	if err := s.store.DeleteSession(ctx, sessionID); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	if err := s.sessions.End(ctx, sessionStanding(sessionID, userID)); err != nil {
		s.report(ctx, fmt.Errorf("tell the cache of a sign-out: %w", err))
	}
	return nil
}

// CheckSession returns nil when the user may act under the session, else
// fault.SessionEnded or fault.UserSuspended. The answer may be as old as the
// session cache's entries; a sign-out is known at once. While the store is away
// the last that was known holds.
func (s *Service) CheckSession(ctx context.Context, sessionID, userID string) (err error) {
	defer s.recorder.Track("feed.CheckSession")(&err)
	standing, err := s.standing(ctx, sessionStanding(sessionID, userID), func(ctx context.Context) (Standing, error) {
		exists, err := s.store.SessionExists(ctx, sessionID, userID, s.now())
		if err != nil || !exists {
			return Ended, err
		}
		return s.userStanding(ctx, userID)
	})
	if err != nil {
		return fmt.Errorf("check session: %w", err)
	}
	switch standing {
	case Active:
		return nil
	case Suspended:
		return suspended()
	}
	return fault.New(fault.SessionEnded, "Sign in again.")
}

// sessionStanding is the name under which a session's standing is remembered. It
// has the user, too, or one's own session would vouch for another user in a token
// that says so.
func sessionStanding(sessionID, userID string) string { return sessionID + ":" + userID }

// standing returns what is remembered under the name, and reads it where that
// is not recent. While the store is away the last that was known holds.
func (s *Service) standing(ctx context.Context, name string, read func(context.Context) (Standing, error)) (Standing, error) {
	known, fresh, err := s.sessions.Standing(ctx, name)
	if err != nil {
		s.report(ctx, fmt.Errorf("read cached standing: %w", err))
	}
	if fresh {
		return known, nil
	}
	now, err := read(ctx)
	switch {
	case err == nil:
		if err := s.sessions.Remember(ctx, name, now); err != nil {
			s.report(ctx, fmt.Errorf("cache standing: %w", err))
		}
		return now, nil
	case known == "":
		return "", err
	}
	s.report(ctx, fmt.Errorf("standing taken for what it was last: %w", err))
	return known, nil
}

// userStanding reads whether the user may act.
func (s *Service) userStanding(ctx context.Context, userID string) (Standing, error) {
	u, err := s.store.User(ctx, userID)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return Ended, nil
		}
		return "", err
	}
	if u.SuspendedAt != nil {
		return Suspended, nil
	}
	return Active, nil
}

func suspended() error {
	return fault.New(fault.UserSuspended, "This user may not act at present. Ask support.")
}

// newID returns a UUID version 7 and the time in it.
func newID() (string, time.Time, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", time.Time{}, errors.Join(errors.New("make an id"), err)
	}
	sec, nsec := id.Time().UnixTime()
	return id.String(), time.Unix(sec, nsec).UTC().Truncate(time.Millisecond), nil
}

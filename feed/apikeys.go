package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pharos/internal/fault"
)

// CreateAPIKey makes a key of the user's. The answer is the only place where
// the key is ever told.
func (s *Service) CreateAPIKey(ctx context.Context, userID string, in NewAPIKey) (_ IssuedAPIKey, err error) {
	defer s.recorder.Track("feed.CreateAPIKey")(&err)
	expires, err := in.Validate(s.now())
	if err != nil {
		return IssuedAPIKey{}, err
	}
	id, at, err := newID()
	if err != nil {
		return IssuedAPIKey{}, err
	}
	key, err := newKey(id)
	if err != nil {
		return IssuedAPIKey{}, err
	}
	k := APIKey{ID: id, UserID: userID, Name: in.Name, Scopes: in.Scopes, Prefix: keyPrefix(id), CreatedAt: at, ExpiresAt: expires}
	if err := s.store.CreateAPIKey(ctx, k, hashKey(key), s.keysPerUser); err != nil {
		return IssuedAPIKey{}, fmt.Errorf("create API key: %w", err)
	}
	return IssuedAPIKey{ID: id, Name: k.Name, Scopes: k.Scopes, Key: key, CreatedAt: at, ExpiresAt: expires}, nil
}

// APIKeys returns the user's keys, the newest first.
func (s *Service) APIKeys(ctx context.Context, userID string) ([]APIKey, error) {
	keys, err := s.store.APIKeys(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return keys, nil
}

// RevokeAPIKey removes the user's key, as SignOut ends a session.
func (s *Service) RevokeAPIKey(ctx context.Context, userID, id string) (err error) {
	defer s.recorder.Track("feed.RevokeAPIKey")(&err)
	if err := s.store.DeleteAPIKey(ctx, id, userID); err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	if err := s.sessions.End(ctx, keyStanding(id)); err != nil {
		s.report(ctx, fmt.Errorf("tell the cache of a revoked key: %w", err))
	}
	return nil
}

// VerifyAPIKey returns what the key allows; fault.InvalidKey for one that is
// unknown, revoked or expired, fault.UserSuspended where its user may not act.
func (s *Service) VerifyAPIKey(ctx context.Context, key string) (_ Grant, err error) {
	defer s.recorder.Track("feed.VerifyAPIKey")(&err)
	id, ok := APIKeyID(key)
	if !ok {
		return Grant{}, NoAPIKey()
	}
	k, hash, err := s.store.APIKey(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && !isHashOf(hash, key) {
		return Grant{}, NoAPIKey()
	}
	if err != nil {
		return Grant{}, fmt.Errorf("verify API key: %w", err)
	}
	standing, err := s.standingOf(ctx, k)
	if err != nil {
		return Grant{}, fmt.Errorf("verify API key: %w", err)
	}
	switch {
	case k.Expired(s.now()):
		return Grant{}, APIKeyExpired()
	case standing == Suspended:
		return Grant{}, suspended()
	case standing != Active:
		return Grant{}, NoAPIKey()
	}
	s.uses.note(id, s.now())
	return Grant{KeyID: id, UserID: k.UserID, Scopes: k.Scopes, ExpiresAt: k.ExpiresAt}, nil
}

// CheckAPIKey returns nil when the user may act by the key, which was verified
// before; else fault.InvalidKey or fault.UserSuspended. It knows as much, and as
// early, as CheckSession does.
func (s *Service) CheckAPIKey(ctx context.Context, id, userID string) (err error) {
	defer s.recorder.Track("feed.CheckAPIKey")(&err)
	standing, err := s.standing(ctx, keyStanding(id), func(ctx context.Context) (Standing, error) {
		k, _, err := s.store.APIKey(ctx, id)
		switch {
		case fault.Is(err, fault.NotFound), err == nil && k.UserID != userID:
			return Ended, nil
		case err != nil:
			return "", err
		}
		return s.standingOf(ctx, k)
	})
	if err != nil {
		return fmt.Errorf("check API key: %w", err)
	}
	switch standing {
	case Active:
		s.uses.note(id, s.now())
		return nil
	case Suspended:
		return suspended()
	}
	return NoAPIKey()
}

// standingOf reads whether the key's user may act by it.
func (s *Service) standingOf(ctx context.Context, k APIKey) (Standing, error) {
	if k.Expired(s.now()) {
		return Ended, nil
	}
	return s.userStanding(ctx, k.UserID)
}

// keyStanding is the name of a key among the sessions whose standing is
// remembered. No session's id is "key".
func keyStanding(id string) string { return "key:" + id }

const (
	// A use is noted once in so long for each key; nobody needs it to the second.
	usesEvery = time.Minute
	// How often those that are to be noted are written.
	usesWritten = 5 * time.Second
)

// keyUses writes down when keys were used last, off the requests' path.
type keyUses struct {
	store  APIKeyStore
	report Report
	now    func() time.Time

	mu      sync.Mutex
	pending map[string]time.Time // key id → its last use
	written map[string]time.Time // by this process, within usesEvery
}

func newKeyUses(store APIKeyStore, report Report, now func() time.Time) *keyUses {
	return &keyUses{store: store, report: report, now: now, pending: map[string]time.Time{}, written: map[string]time.Time{}}
}

func (u *keyUses) note(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, ok := u.written[id]; (!ok || at.Sub(last) >= usesEvery) && at.After(u.pending[id]) {
		u.pending[id] = at
	}
}

// run writes until ctx ends, and then what is left.
func (u *keyUses) run(ctx context.Context) {
	tick := time.NewTicker(usesWritten)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			u.write(last)
			return
		case <-tick.C:
			u.write(ctx)
		}
	}
}

// write writes what is pending. What fails is tried again the next time.
func (u *keyUses) write(ctx context.Context) {
	u.mu.Lock()
	pending := u.pending
	u.pending = map[string]time.Time{}
	for id, at := range u.written {
		if u.now().Sub(at) >= usesEvery {
			delete(u.written, id)
		}
	}
	u.mu.Unlock()
	for id, at := range pending {
		if err := u.store.UseAPIKey(ctx, id, at, usesEvery); err != nil {
			u.report(ctx, fmt.Errorf("note the use of API keys (will be tried again): %w", err))
			break
		}
		u.mu.Lock()
		u.written[id] = at
		u.mu.Unlock()
		delete(pending, id)
	}
	for id, at := range pending {
		u.note(id, at)
	}
}

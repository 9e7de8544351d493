package feed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"pharos/internal/fault"
)

// Scope is something that an API key allows.
type Scope string

// The scopes. Everything that none of them covers needs a sign-in.
const (
	EventsWrite Scope = "events:write" // send shop events
	FeedRead    Scope = "feed:read"    // read the timeline
	JobsWrite   Scope = "jobs:write"   // submit, follow and cancel long tasks
	PostsWrite  Scope = "posts:write"  // write and delete posts
)

// Scopes returns every scope.
func Scopes() []Scope { return []Scope{EventsWrite, FeedRead, JobsWrite, PostsWrite} }

// APIKey lets a program act for a user within some scopes. The key itself is
// told once, when it is made; only its hash is kept.
type APIKey struct {
	ID         string     `json:"id"`
	UserID     string     `json:"-"`
	Name       string     `json:"name"` // one of its own among the user's keys
	Scopes     []Scope    `json:"scopes"`
	Prefix     string     `json:"prefix"` // how the key begins: tells keys apart, opens nothing
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"` // to the minute; null before the first use
	ExpiresAt  *time.Time `json:"expires_at"`   // null for never
}

// Expired reports whether the key's time is over.
func (k APIKey) Expired(now time.Time) bool { return expired(k.ExpiresAt, now) }

// IssuedAPIKey is the answer to the making of a key: the only one that holds it.
type IssuedAPIKey struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []Scope    `json:"scopes"`
	Key       string     `json:"key"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Grant is what a key that was shown allows.
type Grant struct {
	KeyID     string     `json:"key_id"`
	UserID    string     `json:"user_id"`
	Scopes    []Scope    `json:"scopes"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Expired reports whether the key's time is over.
func (g Grant) Expired(now time.Time) bool { return expired(g.ExpiresAt, now) }

// Allows reports whether the key has the scope.
func (g Grant) Allows(s Scope) bool { return slices.Contains(g.Scopes, s) }

func expired(at *time.Time, now time.Time) bool { return at != nil && !now.Before(*at) }

// APIKeyStore keeps API keys.
type APIKeyStore interface {
	// CreateAPIKey adds k with the hash of its key. A name that another key of
	// the user has is fault.Conflict; a key beyond the limit of the user's keys
	// is fault.LimitExceeded.
	CreateAPIKey(ctx context.Context, k APIKey, hash []byte, limit int) error
	// APIKeys returns the user's keys, the newest first.
	APIKeys(ctx context.Context, userID string) ([]APIKey, error)
	// APIKey returns the key with the id and its hash; fault.NotFound where
	// there is none.
	APIKey(ctx context.Context, id string) (APIKey, []byte, error)
	// DeleteAPIKey removes the user's key; fault.NotFound where the user has no
	// such key.
	DeleteAPIKey(ctx context.Context, id, userID string) error
	// UseAPIKey notes that the key was used at the given time, unless a use
	// less than every before that is noted. A key that is gone is no error.
	UseAPIKey(ctx context.Context, id string, at time.Time, every time.Duration) error
}

// NewAPIKey is what a user tells of a key to be made.
type NewAPIKey struct {
	Name      string  `json:"name"`
	Scopes    []Scope `json:"scopes"`
	ExpiresAt *string `json:"expires_at"` // RFC 3339; nil for never
}

// Validate returns when the key expires (nil for never), or a fault that names
// the first bad field.
func (n NewAPIKey) Validate(now time.Time) (*time.Time, error) {
	if !validKeyName(n.Name) {
		return nil, fault.Field(fault.InvalidParameter, "name", "name must have 1 to %d printable characters, none of them a space at either end.", MaxName)
	}
	if len(n.Scopes) == 0 {
		return nil, fault.Field(fault.InvalidParameter, "scopes", "scopes must name at least one of %s.", scopeNames())
	}
	for i, scope := range n.Scopes {
		field := fmt.Sprintf("scopes[%d]", i)
		if !slices.Contains(Scopes(), scope) {
			return nil, fault.Field(fault.UnknownScope, field, "%s must be one of %s.", field, scopeNames())
		}
		if slices.Contains(n.Scopes[:i], scope) {
			return nil, fault.Field(fault.InvalidParameter, field, "%s is there twice.", field)
		}
	}
	if n.ExpiresAt == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, *n.ExpiresAt)
	if err != nil || !at.After(now) {
		return nil, fault.Field(fault.InvalidParameter, "expires_at", "expires_at must be a time to come as of RFC 3339, such as 2030-07-01T12:00:00Z.")
	}
	at = at.UTC().Truncate(time.Millisecond)
	return &at, nil
}

func validKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && utf8.RuneCountInString(name) <= MaxName && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

func scopeNames() string {
	names := make([]string, 0, len(Scopes()))
	for _, s := range Scopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// A key is pharos_{id}_{secret}{checksum}: the id's 32 hex digits, 160 random
// bits and the CRC-32 of all before it, these two in base32 of small letters.
// The start lets scanners find leaked keys, the checksum lets them (and api)
// tell keys from what only looks like one without asking; as GitHub's tokens do,
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
const (
	keyMark        = "pharos_"
	keyIDLength    = 32
	keySecretBytes = 20
	keyLength      = len(keyMark) + keyIDLength + 1 + keySecretBytes*8/5 + 7
)

func base32Of(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func keyPrefix(id string) string { return keyMark + strings.ReplaceAll(id, "-", "") }

// newKey returns a fresh key with the given id.
func newKey(id string) (string, error) {
	secret := make([]byte, keySecretBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("make API key: %w", err)
	}
	key := keyPrefix(id) + "_" + base32Of(secret)
	return key + keyChecksum(key), nil
}

func keyChecksum(s string) string {
	return base32Of(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// APIKeyID returns the id that the key names; false for what can't be a key.
func APIKeyID(key string) (string, bool) {
	if len(key) != keyLength || !strings.HasPrefix(key, keyMark) {
		return "", false
	}
	end := len(key) - 7
	id, err := uuid.Parse(key[len(keyMark) : len(keyMark)+keyIDLength])
	if err != nil || !strings.HasPrefix(key, keyPrefix(id.String())+"_") || keyChecksum(key[:end]) != key[end:] {
		return "", false
	}
	return id.String(), true
}

// hashKey is what is kept of a key. It is no slow hash such as passwords need:
// nobody can guess 160 random bits, and it is computed for every request.
func hashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

func isHashOf(hash []byte, key string) bool {
	return subtle.ConstantTimeCompare(hash, hashKey(key)) == 1
}

// NoAPIKey is the answer to a key that opens nothing.
func NoAPIKey() error {
	return fault.New(fault.InvalidKey, "The key is malformed, unknown or revoked. Make one by POST /v1/api-keys.")
}

// APIKeyExpired is the answer to a key whose time is over.
func APIKeyExpired() error {
	return fault.New(fault.InvalidKey, "The key has expired. Make one by POST /v1/api-keys.")
}

package feed

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"

	"pharos/internal/fault"
)

// The cost of a hash: OWASP's minimum for argon2id (19 MiB, 2 passes, 1 lane),
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32
)

// queued is how many passwords may wait for each slot: a fraction of a second.
// More would wait for longer than anyone does, and be hashed for nobody.
const queued = 8

// Hasher hashes passwords with argon2id, a bounded number at once: each hash
// takes 19 MiB and tens of milliseconds of a core.
type Hasher struct {
	slots *semaphore.Weighted
	line  *semaphore.Weighted // who has a slot or waits for one
	decoy string              // a hash that no password fits, for handles that don't exist
}

// NewHasher returns a Hasher that works on up to atOnce passwords at a time.
func NewHasher(atOnce int) (*Hasher, error) {
	if atOnce < 1 {
		return nil, errors.New("PASSWORDS_AT_ONCE must be at least 1")
	}
	h := &Hasher{slots: semaphore.NewWeighted(int64(atOnce)), line: semaphore.NewWeighted(int64(atOnce * (1 + queued)))}
	var nobody [keyBytes]byte
	if _, err := rand.Read(nobody[:]); err != nil {
		return nil, fmt.Errorf("make a password nobody knows: %w", err)
	}
	decoy, err := h.Hash(context.Background(), string(nobody[:]))
	if err != nil {
		return nil, err
	}
	h.decoy = decoy
	return h, nil
}

// Hash returns the hash of the password with a fresh salt, in the PHC string
// format ($argon2id$v=19$m=…,t=…,p=…$salt$hash). When too many wait already, or
// the slots stay taken until ctx ends, it is fault.Overloaded.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify reports whether hash, as Hash made it, is the password's.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errors.New("stored password hash is not argon2id")
	}
	var (
		memory, passes uint32
		lanes          uint8
	)
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false, errors.New("stored password hash has bad parameters")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errors.New("stored password hash has a bad salt")
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false, errors.New("stored password hash has a bad key")
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

func (h *Hasher) acquire(ctx context.Context) error {
	if h.line.TryAcquire(1) {
		if h.slots.Acquire(ctx, 1) == nil {
			return nil
		}
		h.line.Release(1)
	}
	f := fault.New(fault.Overloaded, "Too many people are signing in just now.")
	f.RetryAfter = 2 * time.Second
	return f
}

func (h *Hasher) release() {
	h.slots.Release(1)
	h.line.Release(1)
}

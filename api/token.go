package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pharos/feed"
	"pharos/internal/env"
	"pharos/internal/fault"
)

// Users' tokens are JWTs signed with JWT_KEY (HS256). The header kid names the
// key, so that a key can be replaced while tokens of the former one live; the
// claims are iss, aud, sub (user id), jti (session id), iat and exp.
const (
	tokenIssuer   = "pharos"
	tokenAudience = "pharos-api"
	minJWTKey     = 32
)

// TokenKeys signs users' tokens with one key and accepts those of others.
type TokenKeys struct {
	current string // kid
	keys    map[string][]byte
	now     func() time.Time
}

// NewTokenKeys returns keys that sign with current and also accept tokens that
// were signed with former ones.
func NewTokenKeys(current env.Secret, former []env.Secret, now func() time.Time) (*TokenKeys, error) {
	k := &TokenKeys{keys: map[string][]byte{}, now: now}
	for i, key := range append([]env.Secret{current}, former...) {
		name := "JWT_KEY"
		if i > 0 {
			name = "JWT_FORMER_KEYS"
		}
		if len(key.Reveal()) < minJWTKey {
			return nil, fmt.Errorf("%s: a key must have at least %d characters", name, minJWTKey)
		}
		id := keyID(key)
		k.keys[id] = []byte(key.Reveal())
		if i == 0 {
			k.current = id
		}
	}
	return k, nil
}

// keyID derives a key's public name: the start of the hash of its hash, which
// tells nothing of the key.
func keyID(key env.Secret) string {
	once := sha256.Sum256([]byte("kid:" + key.Reveal()))
	twice := sha256.Sum256(once[:])
	return hex.EncodeToString(twice[:4])
}

func (k *TokenKeys) sign(s feed.Session) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: tokenIssuer, Audience: jwt.ClaimStrings{tokenAudience},
		Subject: s.User.ID, ID: s.ID,
		IssuedAt: jwt.NewNumericDate(k.now()), ExpiresAt: jwt.NewNumericDate(s.ExpiresAt),
	})
	t.Header["kid"] = k.current
	signed, err := t.SignedString(k.keys[k.current])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// principal is who a request speaks for, and by what: a session or an API key.
type principal struct {
	userID           string
	sessionID, keyID string // one of them is ""
}

// session is the name under which it is remembered that the user may act: of both,
// or one's own session would vouch for another user in a token that says so.
func (p principal) session() string { return p.sessionID + ":" + p.userID }

// verify returns whom the token speaks for, fault.TokenExpired or
// fault.InvalidToken.
func (k *TokenKeys) verify(token string) (principal, error) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, k.keyOf, jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(tokenIssuer), jwt.WithAudience(tokenAudience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(k.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return principal{}, fault.New(fault.TokenExpired, "Sign in again.")
	case err != nil:
		return principal{}, fmt.Errorf("verify token: %w: %w", fault.New(fault.InvalidToken, "The token is malformed, forged or for another use. Sign in to get one."), err)
	case claims.Subject == "" || claims.ID == "":
		return principal{}, fault.New(fault.InvalidToken, "The token names no user. Sign in to get one.")
	}
	return principal{userID: claims.Subject, sessionID: claims.ID}, nil
}

func (k *TokenKeys) keyOf(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	if key, ok := k.keys[id]; ok {
		return key, nil
	}
	return nil, errors.New("unknown key id")
}

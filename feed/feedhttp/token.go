// Package feedhttp is the wire between the processes api and feed: the server
// that feed runs and the client that api uses, with the tokens between them.
package feedhttp

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pharos/internal/env"
)

// A call carries two tokens, both signed with INTERNAL_KEY (HS256) and both
// short-lived: the service credential (Authorization) says that the caller is
// api, the identity (X-User-Token) for which user it calls, and for which session or API key. Their
// audiences keep one from being used as the other.
const (
	userTokenHeader  = "X-User-Token"
	issuer           = "api"
	serviceAudience  = "feed:service"
	identityAudience = "feed:user"
	tokenTTL         = time.Minute
)

// Identity is the user that a call is made for, and by what the user acts: a
// session or an API key.
type Identity struct {
	UserID    string
	SessionID string // "" where the user acts by a key
	KeyID     string // "" where the user is signed in
}

type identityClaims struct {
	SessionID string `json:"sid,omitempty"`
	KeyID     string `json:"key,omitempty"`
	jwt.RegisteredClaims
}

// Keys signs and checks the tokens of the wire.
type Keys struct {
	key    []byte
	former [][]byte // accepted, too
	now    func() time.Time
}

const minKey = 32 // bytes: as long as the hash of HS256

// NewKeys returns the keys made from INTERNAL_KEY, which signs, and from
// INTERNAL_FORMER_KEYS, whose tokens are accepted as well, so that the key can be
// changed in one process after another. Each must have at least 32 characters.
func NewKeys(internal env.Secret, former []env.Secret, now func() time.Time) (*Keys, error) {
	if len(internal.Reveal()) < minKey {
		return nil, fmt.Errorf("INTERNAL_KEY must have at least %d characters", minKey)
	}
	k := &Keys{key: []byte(internal.Reveal()), now: now}
	for _, f := range former {
		if len(f.Reveal()) < minKey {
			return nil, fmt.Errorf("each of INTERNAL_FORMER_KEYS must have at least %d characters", minKey)
		}
		k.former = append(k.former, []byte(f.Reveal()))
	}
	return k, nil
}

func (k *Keys) sign(claims jwt.Claims) (string, error) {
	t, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(k.key)
	if err != nil {
		return "", fmt.Errorf("sign token for feed: %w", err)
	}
	return t, nil
}

func (k *Keys) registered(audience, subject string) jwt.RegisteredClaims {
	now := k.now()
	return jwt.RegisteredClaims{
		Issuer: issuer, Subject: subject, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenTTL)),
	}
}

// signRequest sets the tokens of a request; id is nil for a call for no user.
func (k *Keys) signRequest(r *http.Request, id *Identity) error {
	service, err := k.sign(k.registered(serviceAudience, issuer))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+service)
	if id == nil {
		return nil
	}
	identity, err := k.sign(identityClaims{id.SessionID, id.KeyID, k.registered(identityAudience, id.UserID)})
	if err != nil {
		return err
	}
	r.Header.Set(userTokenHeader, identity)
	return nil
}

func (k *Keys) parse(token, audience string, claims jwt.Claims) error {
	keys := jwt.VerificationKeySet{Keys: []jwt.VerificationKey{k.key}}
	for _, f := range k.former {
		keys.Keys = append(keys.Keys, f)
	}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return keys, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Second), jwt.WithTimeFunc(k.now))
	return err
}

func (k *Keys) checkService(r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return errors.New("no service credential")
	}
	return k.parse(token, serviceAudience, &jwt.RegisteredClaims{})
}

func (k *Keys) identity(r *http.Request) (Identity, error) {
	var claims identityClaims
	if err := k.parse(r.Header.Get(userTokenHeader), identityAudience, &claims); err != nil {
		return Identity{}, err
	}
	if claims.Subject == "" || (claims.SessionID == "") == (claims.KeyID == "") {
		return Identity{}, errors.New("identity without user, or not of one session or key")
	}
	return Identity{UserID: claims.Subject, SessionID: claims.SessionID, KeyID: claims.KeyID}, nil
}

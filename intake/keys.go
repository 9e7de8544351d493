package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"pharos/internal/fault"
)

// defaultKey is the name of the key in INTAKE_API_KEY.
const defaultKey = "default"

var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

const (
	hashed = "sha256:"
	minKey = 16
)

// keys are the API keys of those who may send logs and OTLP.
type keys []key

type key struct {
	name   string
	digest tokenDigest
}

// parseKeys reads the settings INTAKE_API_KEY and INTAKE_API_KEYS. Its errors name
// keys, and never hold one.
func parseKeys(single, list string) (keys, error) {
	var all keys
	seen := map[string]bool{}
	if single != "" {
		list = defaultKey + "=" + single + "," + list
	}
	for _, entry := range strings.Split(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, secret, ok := strings.Cut(entry, "=")
		switch {
		case !ok || !keyName.MatchString(name):
			return nil, errors.New("INTAKE_API_KEYS must be name=key,name=key; a name has small letters, digits, and _ . - within")
		case seen[name]:
			return nil, fmt.Errorf("INTAKE_API_KEYS has two keys named %s", name)
		}
		seen[name] = true
		k := key{name: name, digest: digest(secret)}
		if text, ok := strings.CutPrefix(secret, hashed); ok {
			sum, err := hex.DecodeString(text)
			if err != nil || len(sum) != sha256.Size {
				return nil, fmt.Errorf("INTAKE_API_KEYS: what follows %s of %s must be %d hex digits", hashed, name, 2*sha256.Size)
			}
			k.digest = tokenDigest(sum)
		} else if len(secret) < minKey {
			return nil, fmt.Errorf("INTAKE_API_KEYS: the key %s must have %d characters or more", name, minKey)
		}
		all = append(all, k)
	}
	return all, nil
}

// sender returns the name of the key that a request shows, as "Authorization:
// ApiKey …" or "Bearer …". Every key is compared, so that the time tells nothing.
func (k keys) sender(authorization string) (string, error) {
	scheme, secret, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(scheme, "ApiKey") && !strings.EqualFold(scheme, "Bearer") {
		return "", fault.New(fault.Unauthenticated, "Send an API key: Authorization: ApiKey KEY.")
	}
	got, name := digest(secret), ""
	for _, one := range k {
		if subtle.ConstantTimeCompare(got[:], one.digest[:]) == 1 {
			name = one.name
		}
	}
	if name == "" {
		return "", fault.New(fault.InvalidKey, "The API key is not known here.")
	}
	return name, nil
}

// mayExport returns nil for who may send OTLP: a key's owner, or an agent with the
// secret token.
func (in *Intake) mayExport(authorization string) error {
	if in.authenticate(&http.Request{Header: http.Header{"Authorization": {authorization}}}) == nil {
		return nil
	}
	_, err := in.keys.sender(authorization)
	return err
}

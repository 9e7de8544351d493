package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/time/rate"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/fault"
)

// Config is the settings of sessions.
type Config struct {
	// Key seals the cookies, at least 32 characters; every console of a site needs
	// the same one.
	Key env.Secret `env:"CONSOLE_KEY,required,notEmpty"`
	// Lasts is how long a sign-in is good for.
	Lasts time.Duration `env:"CONSOLE_SESSION" envDefault:"12h"`
	// URL is where readers find the console. With https its cookies are sent over
	// TLS only.
	URL string `env:"CONSOLE_URL"`
}

// Validate implements env.Validator.
func (c Config) Validate() error {
	var errs []error
	if len(c.Key.Reveal()) < 32 {
		errs = append(errs, errors.New("CONSOLE_KEY must have at least 32 characters"))
	}
	if c.Lasts < time.Minute || c.Lasts > 30*24*time.Hour {
		errs = append(errs, errors.New("CONSOLE_SESSION must be between 1m and 720h"))
	}
	return errors.Join(errs...)
}

// CookieName is the session's cookie.
const CookieName = "pharos_session"

// Manager signs people in and knows them again. It keeps no session: all of one
// is in the cookie, sealed, so that any console of a site can read it.
type Manager struct {
	es     Elasticsearch
	cfg    Config
	aead   cipher.AEAD
	tokens []byte
	now    func() time.Time
	random io.Reader

	// How often one name, and one address, may try; the oldest are forgotten.
	names, addresses *expirable.LRU[string, *rate.Limiter]
	// Who came with an Authorization header, by its hash.
	known *expirable.LRU[[sha256.Size]byte, Reader]
}

// New returns a manager.
func New(es Elasticsearch, cfg Config, now func() time.Time, random io.Reader) (*Manager, error) {
	derive := func(what string) ([]byte, error) {
		return hkdf.Key(sha256.New, []byte(cfg.Key.Reveal()), nil, "pharos console "+what, 32)
	}
	sealing, err := derive("session")
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	tokens, err := derive("form token")
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &Manager{
		es: es, cfg: cfg, aead: aead, tokens: tokens, now: now, random: random,
		names:     expirable.NewLRU[string, *rate.Limiter](10_000, nil, time.Hour),
		addresses: expirable.NewLRU[string, *rate.Limiter](10_000, nil, time.Hour),
		known:     expirable.NewLRU[[sha256.Size]byte, Reader](1000, nil, 30*time.Second),
	}, nil
}

// sealed is what the cookie holds.
type sealed struct {
	User    string    `json:"u"`
	KeyID   string    `json:"i"`
	Key     string    `json:"k"`
	Rights  Rights    `json:"r"`
	Expires time.Time `json:"e"`
}

// SignIn checks a password and returns the session's cookie.
// fault.InvalidCredentials, or fault.TooManyRequests for a name or an address
// that tries too often: 5 attempts at once and one in 10 s for a name, 30 and one
// in 2 s for an address, by this process's own count.
func (m *Manager) SignIn(ctx context.Context, user, password, address string) (*http.Cookie, error) {
	if user == "" || password == "" {
		return nil, fault.New(fault.InvalidCredentials, "Name and password are both needed.")
	}
	if len(user) > 507 || len(password) > 1024 { // Elasticsearch's own limit of names
		return nil, fault.New(fault.InvalidCredentials, "The name or the password is not right.")
	}
	for _, l := range []struct {
		all   *expirable.LRU[string, *rate.Limiter]
		key   string
		every time.Duration
		burst int
	}{{m.names, user, 10 * time.Second, 5}, {m.addresses, address, 2 * time.Second, 30}} {
		limiter, ok := l.all.Get(l.key)
		if !ok {
			limiter = rate.NewLimiter(rate.Every(l.every), l.burst)
			l.all.Add(l.key, limiter)
		}
		if !limiter.AllowN(m.now(), 1) {
			f := fault.New(fault.TooManyRequests, "Too many attempts to sign in. Wait a little.")
			f.RetryAfter = l.every
			return nil, f
		}
	}
	key, err := m.es.Grant(ctx, user, password, "pharos console, "+user, m.cfg.Lasts)
	if errors.Is(err, elastic.ErrUnauthenticated) {
		return nil, fault.New(fault.InvalidCredentials, "The name or the password is not right.")
	}
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	reader, err := identify(ctx, m.es, "ApiKey "+key.Encoded)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	text, err := json.Marshal(sealed{reader.User, key.ID, key.Encoded, reader.Rights, key.Expires})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	nonce := make([]byte, m.aead.NonceSize())
	if _, err := io.ReadFull(m.random, nonce); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return m.cookie(base64.RawURLEncoding.EncodeToString(m.aead.Seal(nonce, nonce, text, nil)), int(m.cfg.Lasts.Seconds())), nil
}

func (m *Manager) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		// Lax, because people come here by links from Slack and PagerDuty.
		SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(m.cfg.URL, "https:"),
	}
}

// Read returns who a request comes from, by its Authorization header (Basic or
// ApiKey of an Elasticsearch account) or else by its cookie.
// elastic.ErrUnauthenticated if it is nobody, or no longer.
func (m *Manager) Read(req *http.Request) (Reader, error) {
	if header := req.Header.Get("Authorization"); header != "" {
		hash := sha256.Sum256([]byte(header))
		if reader, ok := m.known.Get(hash); ok {
			return reader, nil
		}
		reader, err := identify(req.Context(), m.es, header)
		if err == nil {
			m.known.Add(hash, reader)
		}
		return reader, err
	}
	s, err := m.open(req)
	if err != nil {
		return Reader{}, err
	}
	return Reader{User: s.User, Rights: s.Rights, Authorization: "ApiKey " + s.Key, Token: m.token(s)}, nil
}

func (m *Manager) open(req *http.Request) (sealed, error) {
	cookie, err := req.Cookie(CookieName)
	if err != nil {
		return sealed{}, elastic.ErrUnauthenticated
	}
	raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(raw) < m.aead.NonceSize() {
		return sealed{}, elastic.ErrUnauthenticated
	}
	text, err := m.aead.Open(nil, raw[:m.aead.NonceSize()], raw[m.aead.NonceSize():], nil)
	if err != nil {
		return sealed{}, elastic.ErrUnauthenticated
	}
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil || !m.now().Before(s.Expires) {
		return sealed{}, elastic.ErrUnauthenticated
	}
	return s, nil
}

func (m *Manager) token(s sealed) string {
	mac := hmac.New(sha256.New, m.tokens)
	mac.Write([]byte(s.KeyID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// CheckToken refuses a form that another site may have sent: fault.Forbidden
// unless token is the reader's.
func CheckToken(r Reader, token string) error {
	if r.Token != "" && !hmac.Equal([]byte(r.Token), []byte(token)) {
		return fault.New(fault.Forbidden, "The form is not of this session. Load the page again and repeat it.")
	}
	return nil
}

// SignOut returns the id of the session's key, to be revoked ("" if there is
// none), and the cookie that ends it in the browser.
func (m *Manager) SignOut(req *http.Request) (keyID string, ended *http.Cookie) {
	ended = m.cookie("", -1)
	if s, err := m.open(req); err == nil {
		keyID = s.KeyID
	}
	return keyID, ended
}

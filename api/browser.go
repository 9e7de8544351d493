package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// A browser that has made a job is known again by a cookie: a JWT of the form
// of users' tokens with another audience, whose subject is the browser's id. It
// says nothing of who sits there, goes to the task pages only, and is no key to
// anything but the browser's own jobs.
const (
	browserCookie   = "pharos_browser"
	browserAudience = "pharos-browser"
	browserPath     = "/tasks"
	// A browser is known for a day after its last new job: for longer than any
	// result is kept by default.
	browserTTL = 24 * time.Hour
)

// browserID is the id of the request's browser, "" for one that is not known.
func (k *TokenKeys) browserID(c *gin.Context) string {
	token, err := c.Cookie(browserCookie)
	if err != nil {
		return ""
	}
	var claims jwt.RegisteredClaims
	if _, err := jwt.ParseWithClaims(token, &claims, k.keyOf, jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(tokenIssuer),
		jwt.WithAudience(browserAudience), jwt.WithExpirationRequired(), jwt.WithTimeFunc(k.now)); err != nil {
		return ""
	}
	return claims.Subject
}

// setBrowser makes the answer's browser known as id.
func (k *TokenKeys) setBrowser(c *gin.Context, id string) error {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: tokenIssuer, Audience: jwt.ClaimStrings{browserAudience}, Subject: id,
		ExpiresAt: jwt.NewNumericDate(k.now().Add(browserTTL)),
	})
	t.Header["kid"] = k.current
	signed, err := t.SignedString(k.keys[k.current])
	if err != nil {
		return fmt.Errorf("sign browser's cookie: %w", err)
	}
	http.SetCookie(c.Writer, &http.Cookie{
		Name: browserCookie, Value: signed, Path: browserPath, MaxAge: int(browserTTL / time.Second),
		Secure: scheme(c) == "https", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return nil
}

func newBrowserID() (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make browser's id: %w", err)
	}
	return id.String(), nil
}

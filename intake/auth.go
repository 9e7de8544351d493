package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
)

var (
	errTokenMissing = errors.New("authentication failed: missing or improperly formatted Authorization header: expected 'Authorization: Bearer secret_token'")
	errTokenWrong   = errors.New("authentication failed")
)

// tokenDigest lets tokens of any length be compared in the same time.
type tokenDigest [sha256.Size]byte

func digest(token string) tokenDigest { return sha256.Sum256([]byte(token)) }

// authenticate returns nil for a request with the secret token.
func (in *Intake) authenticate(r *http.Request) error {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return errTokenMissing
	}
	got := digest(token)
	if subtle.ConstantTimeCompare(got[:], in.token[:]) != 1 {
		return errTokenWrong
	}
	return nil
}

func (in *Intake) requireToken(c *gin.Context) {
	err := in.authenticate(c.Request)
	if err == nil {
		return
	}
	httpserver.LogFault(c, err)
	c.Header("WWW-Authenticate", "Bearer")
	closeAfter(c)
	c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": err.Error()})
}

// closeAfter ends the connection with the answer: the rest of the body is not
// worth reading.
func closeAfter(c *gin.Context) { c.Header("Connection", "close") }

package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// etagOf names a body by its hash. It is weak, since nginx may compress the body
// on its way.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}

// answerOrUnchanged answers with the body and its ETag, or with 304 where the
// client says that it has this very body (RFC 9110, section 13.1.2).
func answerOrUnchanged(c *gin.Context, contentType string, body []byte) {
	etag := etagOf(body)
	c.Header("ETag", etag)
	if has(c.Request.Header.Values("If-None-Match"), etag) {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, contentType, body)
}

// has compares entity tags weakly. No tag of ours holds a comma.
func has(ifNoneMatch []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(ifNoneMatch, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

package httpserver

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// padding is how many bytes a compressed answer may be longer by, depending on
// what it says. The length of one that holds both a secret and what somebody
// else made the reader ask for would tell of the secret (the BREACH attack).
const padding = 32

// Gzip compresses next's answers of 1 KB and more for clients that take it. What
// is encoded already stays as it is, and so do events, which must not wait for
// each other.
func Gzip(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.ContentTypeFilter(func(contentType string) bool {
			return !strings.HasPrefix(contentType, "text/event-stream") && gzhttp.DefaultContentTypeFilter(contentType)
		}),
		gzhttp.RandomJitter(padding, 0, false),
	)
	if err != nil {
		return nil, fmt.Errorf("compress answers: %w", err)
	}
	return wrap(next), nil
}

// TakesGzip reports whether a client takes gzip (RFC 9110, section 12.5.3); one
// that refuses it by q=0, or only says that it takes anything, does not.
func TakesGzip(h http.Header) bool {
	for _, line := range h["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				weight = strings.ReplaceAll(weight, " ", "")
				return strings.Trim(strings.TrimPrefix(strings.ToLower(weight), "q="), "0.") != "" || weight == ""
			}
		}
	}
	return false
}

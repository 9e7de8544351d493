package intake

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

var errBodyTooLarge = errors.New("the request exceeded the permitted size")

// bodyError is a body that can't be read to its end: broken compression, a
// client that went away, too long.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "cannot read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// body reads a request's body, decompressed, up to a limit. The limit holds
// for the decompressed bytes: few compressed ones can stand for many.
type body struct {
	r    io.Reader
	left int64
	// err is why reading ended, nil while it goes on and after a clean end.
	// It stays: the line reader on top asks again after an error.
	err error
	eof bool
}

// newBody returns a *bodyError for an encoding that is not known or that the
// body does not have.
func newBody(r *http.Request, limit int64) (*body, error) {
	b := &body{left: limit}
	in := bufio.NewReader(r.Body)
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		encoding = "" // nothing is nothing in every encoding
	}
	var err error
	switch encoding {
	case "", "identity":
		b.r = in
	case "gzip":
		b.r, err = gzip.NewReader(in)
	case "deflate": // which is zlib's format by RFC 9110, 8.4.1.2
		b.r, err = zlib.NewReader(in)
	default:
		err = fmt.Errorf("unsupported Content-Encoding %.40q: use gzip, deflate or none", encoding)
	}
	if err != nil {
		return nil, &bodyError{err}
	}
	return b, nil
}

// Read returns io.EOF at the body's clean end and a *bodyError otherwise.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.eof:
		return 0, io.EOF
	}
	// One more than is left tells a body that ends at the limit from a longer one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	switch {
	case int64(n) > b.left:
		n, b.left = int(b.left), 0
		b.err = &bodyError{errBodyTooLarge}
		return n, b.err
	case errors.Is(err, io.EOF):
		b.eof = true
	case err != nil:
		b.err = &bodyError{err}
		err = b.err
	}
	b.left -= int64(n)
	return n, err
}

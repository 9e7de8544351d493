// Package fault holds the errors that a client is meant to see.
//
// Inside Pharos errors are ordinary Go errors wrapped with what was being
// done. One that a client should be told about carries a *fault.Error in its
// chain; everything else is answered as [Internal] with no detail.
package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Code is the stable name of a kind of problem. It is the last segment of the
// problem's type, "/problems/<code>".
type Code string

// The codes that Pharos answers with. Clients may rely on them.
const (
	InvalidParameter   Code = "invalid-parameter"
	MalformedBody      Code = "malformed-body"
	UnknownField       Code = "unknown-field"
	InvalidCursor      Code = "invalid-cursor"
	Unauthenticated    Code = "unauthenticated"
	InvalidCredentials Code = "invalid-credentials"
	InvalidToken       Code = "invalid-token"
	TokenExpired       Code = "token-expired"
	SessionEnded       Code = "session-ended"
	InvalidKey         Code = "invalid-api-key"
	Forbidden          Code = "forbidden"
	UserSuspended      Code = "user-suspended"
	NotFound           Code = "not-found"
	MethodNotAllowed   Code = "method-not-allowed"
	NotAcceptable      Code = "not-acceptable"
	Conflict           Code = "conflict"
	BodyTooLarge       Code = "body-too-large"
	UnsupportedMedia   Code = "unsupported-media-type"
	LimitExceeded      Code = "limit-exceeded"
	UnknownScope       Code = "unknown-scope"
	KeyReused          Code = "idempotency-key-reused"
	TooManyRequests    Code = "too-many-requests"
	Internal           Code = "internal"
	Unavailable        Code = "unavailable"
	Overloaded         Code = "overloaded"
	Timeout            Code = "timeout"
)

type meaning struct {
	status int
	title  string
}

//nolint:gochecknoglobals // a table that is only read
var meanings = map[Code]meaning{
	InvalidParameter:   {http.StatusBadRequest, "A parameter is missing or not valid"},
	MalformedBody:      {http.StatusBadRequest, "The body is not valid"},
	UnknownField:       {http.StatusBadRequest, "The body has an unknown field"},
	InvalidCursor:      {http.StatusBadRequest, "The cursor is not valid"},
	Unauthenticated:    {http.StatusUnauthorized, "Sign-in is needed"},
	InvalidCredentials: {http.StatusUnauthorized, "The handle or the password is wrong"},
	InvalidToken:       {http.StatusUnauthorized, "The token is not valid"},
	TokenExpired:       {http.StatusUnauthorized, "The token has expired"},
	SessionEnded:       {http.StatusUnauthorized, "The session has ended"},
	InvalidKey:         {http.StatusUnauthorized, "The API key is not valid"},
	Forbidden:          {http.StatusForbidden, "That is not allowed"},
	UserSuspended:      {http.StatusForbidden, "The user is suspended"},
	NotFound:           {http.StatusNotFound, "There is no such thing"},
	MethodNotAllowed:   {http.StatusMethodNotAllowed, "The method is not allowed here"},
	NotAcceptable:      {http.StatusNotAcceptable, "None of the media types that you take can be had"},
	Conflict:           {http.StatusConflict, "It conflicts with what is there"},
	BodyTooLarge:       {http.StatusRequestEntityTooLarge, "The body is too large"},
	UnsupportedMedia:   {http.StatusUnsupportedMediaType, "The media type is not supported"},
	LimitExceeded:      {http.StatusUnprocessableEntity, "The request is beyond a limit"},
	UnknownScope:       {http.StatusUnprocessableEntity, "There is no such scope"},
	KeyReused:          {http.StatusUnprocessableEntity, "The idempotency key belongs to another request"},
	TooManyRequests:    {http.StatusTooManyRequests, "Too many requests"},
	Internal:           {http.StatusInternalServerError, "Something failed on our side"},
	Unavailable:        {http.StatusServiceUnavailable, "A part that is needed is away"},
	Overloaded:         {http.StatusServiceUnavailable, "Too much is asked for just now"},
	Timeout:            {http.StatusGatewayTimeout, "It took too long"},
}

// Codes lists every code, by name.
func Codes() []Code { return slices.Sorted(maps.Keys(meanings)) }

// Error is a failure with words for the client.
type Error struct {
	Code Code
	// Detail is one sentence for a human. It never holds secrets, addresses
	// or the text of an inner error.
	Detail string
	// Field names the parameter or body field at fault; empty where none is.
	Field string
	// RetryAfter is when it makes sense to try again; zero leaves it unsaid.
	RetryAfter time.Duration
}

// Error returns "code: detail", for logs.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s (%s): %s", e.Code, e.Field, e.Detail)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

// Status is the HTTP status of the error's code; 500 for an unknown code.
func (e *Error) Status() int {
	if m, ok := meanings[e.Code]; ok {
		return m.status
	}
	return http.StatusInternalServerError
}

// Title is the fixed sentence of the error's code.
func (e *Error) Title() string {
	if m, ok := meanings[e.Code]; ok {
		return m.title
	}
	return meanings[Internal].title
}

// New returns an error with the given code and a formatted detail.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Field returns an error about the named parameter or body field.
func Field(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// From returns what a client may see of err: the *Error in its chain, Timeout
// for a deadline that passed, and a bare Internal for everything else.
func From(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return New(Timeout, "The answer was not ready in time.")
	}
	return New(Internal, "The request failed. Quote the trace_id when you report it.")
}

// Is reports whether err carries an *Error with the given code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

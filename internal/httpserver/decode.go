package httpserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
)

// DecodeJSON reads the request's body, which must be one JSON object of at
// most limit bytes with no fields that v lacks. Its errors are faults that
// name the field.
func DecodeJSON(c *gin.Context, v any, limit int64) error {
	if ct := c.GetHeader("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" {
			return fault.New(fault.UnsupportedMedia, "The body must be application/json.")
		}
	}
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return bodyFault(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if f := bodyFault(err); fault.Is(f, fault.BodyTooLarge) {
			return f
		}
		return fault.New(fault.MalformedBody, "The body holds more than one JSON value.")
	}
	return nil
}

func bodyFault(err error) error {
	var (
		tooLarge *http.MaxBytesError
		badType  *json.UnmarshalTypeError
		syntax   *json.SyntaxError
	)
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.BodyTooLarge, "The body may have at most %d bytes.", tooLarge.Limit)
	case errors.As(err, &badType):
		return fault.Field(fault.MalformedBody, badType.Field, "%s must be %s.", orBody(badType.Field), jsonType(badType.Type.Kind().String()))
	case errors.As(err, &syntax):
		return fault.New(fault.MalformedBody, "The body is not valid JSON (at byte %d).", syntax.Offset)
	case errors.Is(err, io.EOF):
		return fault.New(fault.MalformedBody, "The body is empty.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.MalformedBody, "The body ends within a JSON value.")
	}
	// encoding/json has no type for this one.
	if err != nil {
		if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			name := strings.Trim(field, `"`)
			return fault.Field(fault.UnknownField, name, "There is no field of this name.")
		}
	}
	return fault.New(fault.MalformedBody, "The body could not be read.")
}

func orBody(field string) string {
	if field == "" {
		return "The body"
	}
	return field
}

func jsonType(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "struct", "map":
		return "an object"
	case "slice", "array":
		return "an array"
	}
	return "a number"
}

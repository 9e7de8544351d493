package document

import (
	"errors"
	"net/http"
)

// Error is an error as Elasticsearch answers it: an object with type, reason,
// often more (script_stack), and caused_by of the same form.
type Error struct {
	Status int // of the answer that it would be, or was
	Object *Object
}

// NewError makes an error of a type (parse_exception) and a reason.
func NewError(status int, kind, reason string) *Error {
	return &Error{Status: status, Object: NewObject(Pair{Key: "type", Value: kind}, Pair{Key: "reason", Value: reason})}
}

// AnsweredError reads the error out of an answer of Elasticsearch that is not a
// success, whatever the answer holds.
func AnsweredError(status int, answer []byte) *Error {
	body, err := ParseObject(answer)
	if err != nil {
		return NewError(status, "status_exception", "Elasticsearch answered "+http.StatusText(status))
	}
	switch e := At(body, "error").(type) {
	case *Object:
		e = e.Clone()
		e.Delete("root_cause")
		return &Error{Status: status, Object: e}
	case string:
		return NewError(status, "status_exception", e)
	default:
		return NewError(status, "status_exception", "Elasticsearch answered "+http.StatusText(status))
	}
}

// Error returns the reason.
func (e *Error) Error() string {
	reason, _ := At(e.Object, "reason").(string)
	if reason == "" {
		reason = e.Type()
	}
	return reason
}

// Type is Elasticsearch's name of the error.
func (e *Error) Type() string {
	kind, _ := At(e.Object, "type").(string)
	return kind
}

// Cause is the reason of the innermost cause, "" if there is none.
func (e *Error) Cause() string {
	reason := ""
	for o, ok := At(e.Object, "caused_by").(*Object); ok; o, ok = At(o, "caused_by").(*Object) {
		reason, _ = At(o, "reason").(string)
	}
	return reason
}

// ErrorObject is any error in Elasticsearch's form, with root_cause first, and
// the status of the answer that it makes. A [PathError] is a parse_exception
// with the place under path, whatever caused it; an [Error] is what it holds; all
// else is an exception with its text.
func ErrorObject(err error) (status int, o *Object) {
	status, o = plainError(err)
	root := rootCause(o).Clone()
	root.Delete("caused_by")
	full := NewObject(Pair{Key: "root_cause", Value: []any{root}})
	for k, v := range o.All() {
		full.Set(k, v)
	}
	return status, full
}

func plainError(err error) (int, *Object) {
	var (
		place  *PathError
		answer *Error
	)
	switch {
	case errors.As(err, &place):
		var o *Object
		switch {
		case place.Reason == "" && errors.As(place.Err, &answer):
			o = answer.Object.Clone()
		case place.Err != nil:
			_, cause := plainError(place.Err)
			o = NewError(0, "parse_exception", place.Reason).Object.Set("caused_by", cause)
		default:
			o = NewError(0, "parse_exception", place.Reason).Object
		}
		if place.Path != "" {
			if _, taken := o.Get("path"); !taken {
				cause, caused := o.Get("caused_by")
				o.Delete("caused_by")
				o.Set("path", place.Path)
				if caused {
					o.Set("caused_by", cause)
				}
			}
		}
		status := http.StatusBadRequest
		if answer != nil && place.Reason == "" && answer.Status == http.StatusNotFound {
			status = http.StatusNotFound
		}
		return status, o
	case errors.As(err, &answer):
		return answer.Status, answer.Object.Clone()
	default:
		return http.StatusInternalServerError, NewError(0, "exception", err.Error()).Object
	}
}

// rootCause is the innermost cause that is one of Elasticsearch's own errors:
// Java's own (illegal_argument_exception) are no root causes there.
func rootCause(o *Object) *Object {
	cause, ok := At(o, "caused_by").(*Object)
	if !ok {
		return o
	}
	switch kind, _ := At(cause, "type").(string); kind {
	case "parse_exception", "script_exception", "parsing_exception", "resource_not_found_exception", "index_not_found_exception":
		return rootCause(cause)
	default:
		return o
	}
}

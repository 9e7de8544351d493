package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/elastic/apm-data/input/elasticapm"
)

// What a stream can be refused for. The words of the first two are APM
// Server's: agents log them, and people search for them.
var (
	errQueueFull   = errors.New("queue is full")
	errStopping    = errors.New("server is shutting down")
	errBusy        = errors.New("too many streams at once")
	errTimeout     = errors.New("request timed out")
	errContentType = errors.New("invalid content type")
)

// maxDocument is how much of a refused line goes into the answer. The agent
// that gets it writes it to a log.
const maxDocument = 1 << 10

// answer is the body of an events answer, as the events intake API has it.
type answer struct {
	Accepted int           `json:"accepted"`
	Errors   []answerError `json:"errors,omitempty"`
}

type answerError struct {
	Message  string `json:"message"`
	Document string `json:"document,omitempty"`
}

// newAnswer returns the answer for a stream and its status, which is the worst
// of its errors': 503 where the agent should back off and come again, 400
// where the stream itself was wrong, and 202 for no error.
func newAnswer(result *elasticapm.Result, streamErr error) (answer, int) {
	a, status := answer{Accepted: result.Accepted}, http.StatusAccepted
	errs := result.Errors
	if streamErr != nil {
		errs = append(errs[:len(errs):len(errs)], streamErr)
	}
	for _, err := range errs {
		status = max(status, statusOf(err))
		var invalid *elasticapm.InvalidInputError
		if errors.As(err, &invalid) {
			a.Errors = append(a.Errors, answerError{invalid.Message, truncate(invalid.Document, maxDocument)})
			continue
		}
		a.Errors = append(a.Errors, answerError{Message: err.Error()})
	}
	return a, status
}

func statusOf(err error) int {
	var (
		invalid *elasticapm.InvalidInputError
		broken  *bodyError
	)
	switch {
	case errors.As(err, &invalid), errors.As(err, &broken), errors.Is(err, errContentType):
		return http.StatusBadRequest
	case errors.Is(err, errQueueFull), errors.Is(err, errStopping), errors.Is(err, errBusy), errors.Is(err, errTimeout):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// streamError names what ended a stream in the words of the answer.
func (in *Intake) streamError(err error) error {
	for _, known := range []error{errQueueFull, errStopping, errBusy} {
		if errors.Is(err, known) {
			return known
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && in.stopping.Err() != nil:
		return errStopping
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTimeout
	case errors.Is(err, context.Canceled):
		return &bodyError{err} // the client went away while it waited for its turn
	}
	return err
}

// logged is the answer as one error for the access log, nil for none. It has
// no documents, and no quotes from them: they are users' data.
func (a answer) logged() error {
	if len(a.Errors) == 0 {
		return nil
	}
	messages := make([]string, len(a.Errors))
	for i, e := range a.Errors {
		reason, _, _ := strings.Cut(e.Message, ", error found in #")
		messages[i] = truncate(reason, 200)
	}
	return fmt.Errorf("%d events accepted, then: %s", a.Accepted, strings.Join(messages, "; "))
}

func truncate(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

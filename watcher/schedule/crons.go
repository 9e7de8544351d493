package schedule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"pharos/watcher/document"
)

// parseCrons reads the cron schedule's value: an expression or a list of them.
func parseCrons(path string, v any) (*cronnable, error) {
	one := func(path, text string) (*cron, error) {
		c, err := parseCron(text)
		if err != nil {
			return nil, &document.PathError{Path: path, Reason: "could not parse [cron] schedule", Err: err}
		}
		return c, nil
	}
	switch v := v.(type) {
	case string:
		c, err := one(path, v)
		if err != nil {
			return nil, err
		}
		return &cronnable{value: c.expression, crons: []*cron{c}}, nil
	case []any:
		if len(v) == 0 {
			return nil, document.Errorf(path, "could not parse [cron] schedule. no cron expression found in cron array")
		}
		s := &cronnable{}
		for i, e := range v {
			text, ok := e.(string)
			if !ok {
				return nil, document.Errorf(document.Index(path, i), "could not parse [cron] schedule. expected a string value in the cron array but found [%s]", document.Token(e))
			}
			c, err := one(document.Index(path, i), text)
			if err != nil {
				return nil, err
			}
			s.crons = append(s.crons, c)
		}
		slices.SortStableFunc(s.crons, func(a, b *cron) int { return cmp.Compare(a.expression, b.expression) })
		list := make([]any, len(s.crons))
		for i, c := range s.crons {
			list[i] = c.expression
		}
		s.value = list
		if len(list) == 1 {
			s.value = list[0]
		}
		return s, nil
	default:
		return nil, document.Errorf(path, "could not parse [cron] schedule. expected either a cron string value or an array of cron string values, but found [%s]", document.Token(v))
	}
}

// invalid says in its text what is wrong with an expression, and is for the API
// the error that Elasticsearch makes of it.
type invalid struct {
	text    string
	elastic *document.Error
}

func (e *invalid) Error() string { return e.text }
func (e *invalid) Unwrap() error { return e.elastic }

func refused(expression string, err error) error {
	reason := fmt.Sprintf("invalid cron expression [%s]", expression)
	cause := fmt.Sprintf("illegal cron expression format [java.lang.IllegalArgumentException: %s]", err)
	e := document.NewError(http.StatusBadRequest, "illegal_argument_exception", reason)
	e.Object.Set("caused_by", document.NewError(http.StatusBadRequest, "illegal_argument_exception", cause).Object)
	return &invalid{text: reason + ": " + err.Error(), elastic: e}
}

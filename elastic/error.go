package elastic

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Error is Elasticsearch's refusal of a call.
type Error struct {
	Method, Path string
	Status       int
	// Type is Elasticsearch's name of the error, as in
	// "illegal_argument_exception"; empty where something between answered.
	Type string
	// Reason is Elasticsearch's sentence and that of its first cause, cut to
	// maxReason bytes.
	Reason string
}

// Error returns "METHOD /path: status type: reason".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.Status)
	if e.Type != "" {
		b.WriteString(" " + e.Type)
	}
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	return b.String()
}

const (
	maxReason    = 600
	maxErrorBody = 64 << 10
)

// cause is Elasticsearch's form of an error; see
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html
type cause struct {
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	CausedBy *cause `json:"caused_by"`
}

// refusal makes an Error of an answer. Elasticsearch answers an error object
// or, for unknown paths and methods, a bare string; proxies answer anything.
func refusal(req *http.Request, resp *http.Response) *Error {
	e := &Error{Method: req.Method, Path: req.URL.Path, Status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if err != nil || json.Unmarshal(body, &answer) != nil {
		e.Reason = http.StatusText(resp.StatusCode)
		return e
	}
	var c cause
	if json.Unmarshal(answer.Error, &c) != nil {
		var text string
		if json.Unmarshal(answer.Error, &text) != nil || text == "" {
			text = http.StatusText(resp.StatusCode)
		}
		e.Reason = cut(text)
		return e
	}
	e.Type, e.Reason = c.Type, c.Reason
	first := &c
	for first.CausedBy != nil {
		first = first.CausedBy
	}
	if first.Reason != "" && !strings.Contains(e.Reason, first.Reason) {
		e.Reason += ": " + first.Reason
	}
	e.Reason = cut(e.Reason)
	return e
}

// cut shortens s to maxReason bytes without splitting a character.
func cut(s string) string {
	if len(s) <= maxReason {
		return s
	}
	end := maxReason
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

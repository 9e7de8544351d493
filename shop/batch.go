package shop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxBatch is how many events one request may hold.
const MaxBatch = 500

// The faults of a body as a whole.
var (
	// ErrSyntax is a body that is no JSON, or neither an object nor an array.
	ErrSyntax = errors.New("the body must be a CloudEvent in JSON, or an array of them")
	// ErrTooMany is a batch of more than MaxBatch events.
	ErrTooMany = fmt.Errorf("a batch may have at most %d events", MaxBatch)
)

// Parsed is one event of a body, or what is wrong with it.
type Parsed struct {
	Event Event
	Err   error // nil, or an *Invalid
}

// ParseBody reads one event or an array of events. An event that is not valid
// does not keep the others from being read.
func ParseBody(body []byte, limits Limits, now time.Time) ([]Parsed, error) {
	body = bytes.TrimLeft(body, " \t\r\n")
	var raws []json.RawMessage
	switch {
	case len(body) > 0 && body[0] == '{' && json.Valid(body):
		raws = []json.RawMessage{body}
	case len(body) == 0 || body[0] != '[' || json.Unmarshal(body, &raws) != nil:
		return nil, ErrSyntax
	case len(raws) > MaxBatch:
		return nil, ErrTooMany
	}
	out := make([]Parsed, len(raws))
	for i, raw := range raws {
		e, err := ParseEvent(raw, now)
		if err == nil {
			err = limits.Check(e, now)
		}
		if len(raw) > MaxEventBytes {
			err = &Invalid{Detail: "is larger than 64 KiB"}
		}
		if err == nil {
			e.Raw = compact(e.Raw)
		}
		out[i] = Parsed{e, err}
	}
	return out, nil
}

// compact returns JSON without its white space, in memory of its own: the whole
// body need not be kept for it.
func compact(raw json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return raw // it was parsed before
	}
	return out.Bytes()
}

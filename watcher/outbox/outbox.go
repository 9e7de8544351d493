// Package outbox delivers notifications: each is written down before it is sent
// and marked after, so that it survives a crash; it is sent once, in the order
// of its key, and again after a failure that may pass.
package outbox

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"pharos/watcher/httpcall"
)

// Message is one notification.
type Message struct {
	// ID names what the message tells: a second message with the same ID is
	// never sent.
	ID string `json:"id"`
	// Key orders: a message is sent after all earlier ones of its key.
	Key string `json:"key"`
	// Kind, if it is not empty, lets a message be left out while another of its
	// key and kind waits at the end of the queue: a second trigger, for one.
	Kind      string          `json:"kind,omitempty"`
	Channel   string          `json:"channel"` // pagerduty, slack
	Account   string          `json:"account"`
	WatchID   string          `json:"watch_id,omitempty"`
	ActionID  string          `json:"action_id,omitempty"`
	Body      json.RawMessage `json:"body"` // what is sent, without the account's secret
	CreatedAt time.Time       `json:"created_at"`
}

// State is where a message is on its way.
type State string

// Pending messages wait for their first or next attempt; Sent and Failed ones
// are done.
const (
	Pending State = "pending"
	Sent    State = "sent"
	Failed  State = "failed"
)

// Entry is a message as it is kept.
type Entry struct {
	Message
	State      State     `json:"state"`
	Attempts   int       `json:"attempts"`
	NotBefore  time.Time `json:"not_before,omitzero"`  // no attempt earlier
	LeaseUntil time.Time `json:"lease_until,omitzero"` // somebody is sending it until then
	DoneAt     time.Time `json:"done_at,omitzero"`
	Reason     string    `json:"reason,omitempty"` // of the last failure

	// Revision is the store's, for compare-and-set.
	Revision Revision `json:"-"`
}

// Revision names a stored document's state, as Elasticsearch does.
type Revision struct{ SeqNo, PrimaryTerm int64 }

// Store keeps entries. Every write is a compare-and-set, so that any number of
// processes can share it.
type Store interface {
	// Create keeps a new entry; fault.Conflict if one of its ID is there.
	Create(ctx context.Context, e Entry) (Revision, error)
	// Update replaces an entry; fault.Conflict if it has changed since.
	Update(ctx context.Context, e Entry) (Revision, error)
	// Waiting returns the pending entries of a key in their order, or with an
	// empty key those of all keys, oldest first, up to limit.
	Waiting(ctx context.Context, key string, limit int) ([]Entry, error)
}

// Channel sends messages to one kind of receiver.
type Channel interface {
	// Send makes one attempt. The error says that there was no answer.
	Send(ctx context.Context, m Message) (*httpcall.Response, error)
}

// Delivery is what came of a message so far.
type Delivery struct {
	State State
	// Response is the attempt's, nil if there was none or no attempt was made.
	Response *httpcall.Response
	// Err says why there was no response.
	Err error
	// Duplicate is true where the message was known already, or another of its
	// kind waits, so that nothing was done.
	Duplicate bool
}

// verdict is what an attempt's outcome means for the message.
type verdict int

const (
	delivered verdict = iota
	again
	refused
)

// judge follows PagerDuty's and Slack's rules: 2xx is delivered; 429, 408, 5xx
// and a broken connection may pass; anything else is refused for good.
// https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic
func judge(response *httpcall.Response, err error) verdict {
	switch {
	case err != nil:
		return again
	case response.Status >= 200 && response.Status < 300:
		return delivered
	case response.Status == http.StatusTooManyRequests, response.Status == http.StatusRequestTimeout,
		response.Status >= http.StatusInternalServerError:
		return again
	}
	return refused
}

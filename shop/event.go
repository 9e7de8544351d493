// Package shop takes the events of an e-commerce platform: what an event is,
// the bus that carries it, and its two consumers, of which one keeps the raw
// events (ingest) and the other counts them (analytics).
package shop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// The types of events.
const (
	TypeView     = "shop.view"     // a product was looked at
	TypeAction   = "shop.action"   // anything else that a visitor did
	TypeCart     = "shop.cart"     // a product was put into the cart
	TypePurchase = "shop.purchase" // an order was paid
)

// Types returns every type of event.
func Types() []string { return []string{TypeView, TypeAction, TypeCart, TypePurchase} }

// Event is a CloudEvent of version 1.0 whose type is one of ours,
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type Event struct {
	ID     string
	Source string
	Type   string
	Time   time.Time // when it happened, UTC
	Data   Data
	// Raw is the whole event as JSON, with fields that are not known here, too.
	Raw json.RawMessage
}

// Data is what an event tells. Fields that its type does not need may be empty.
type Data struct {
	SessionID string
	UserID    string
	ProductID string
	Category  string
	Country   string // ISO 3166-1 alpha-2
	Action    string
	OrderID   string
	Quantity  int64
	Price     *Money // of one piece
	Amount    *Money // of the whole order
}

// Key identifies the event everywhere: CloudEvents has source and id together
// as unique. 128 bits of SHA-256, as hexadecimal digits.
func (e Event) Key() string {
	sum := sha256.Sum256([]byte(e.Source + "\x00" + e.ID))
	return hex.EncodeToString(sum[:16])
}

// Visitor is who the event is counted for: the user, or the session where
// nobody is signed in.
func (e Event) Visitor() string {
	if e.Data.UserID != "" {
		return "user " + e.Data.UserID
	}
	return "session " + e.Data.SessionID
}

// Bounds of an event. 64 KiB is what CloudEvents asks everyone to forward.
const (
	MaxEventBytes = 64 << 10
	maxID         = 256
	maxText       = 128
	maxQuantity   = 1_000_000
	// maxDepth is well below what MongoDB takes (100).
	maxDepth = 32
)

// Invalid says what is wrong with an event.
type Invalid struct {
	Field  string // "id", "data.price"; "" for the event as a whole
	Detail string
}

// Error returns "field: detail".
func (e *Invalid) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Limits says which times of events are believed.
type Limits struct {
	// Future is how far ahead a clock may be: a time beyond it would close
	// windows that are still open.
	Future time.Duration `env:"SHOP_MAX_FUTURE" envDefault:"5m"`
	// Age is how old an event may be. It is shorter than what analytics keeps
	// of a window (SHOP_STATE_TTL), so that late events can still be counted.
	Age time.Duration `env:"SHOP_MAX_AGE" envDefault:"72h"`
}

// Check returns an *Invalid for an event of a time that is not believed.
func (l Limits) Check(e Event, now time.Time) error {
	switch {
	case e.Time.After(now.Add(l.Future)):
		return &Invalid{"time", "lies in the future"}
	case e.Time.Before(now.Add(-l.Age)):
		return &Invalid{"time", "lies more than " + l.Age.String() + " back"}
	}
	return nil
}

// ParseEvent reads one event. An event without a time gets now, in Raw, too.
// The error is an *Invalid that names the first field at fault; the event then
// has its id, if that could be read. It keeps raw.
func ParseEvent(raw []byte, now time.Time) (Event, error) {
	var e Event
	fields, err := parseObject(raw)
	if err != nil {
		return e, &Invalid{Detail: "must be a JSON object"}
	}
	p := &reader{fields: fields}
	e.ID = p.text("id", maxID, required)
	if e.Source = p.text("source", maxID, required); p.err == nil && !isURIReference(e.Source) {
		p.fail("source", "must be a URI reference")
	}
	if v := p.text("specversion", maxText, required); p.err == nil && v != "1.0" {
		p.fail("specversion", "must be 1.0")
	}
	e.Type = p.text("type", maxText, required)
	p.oneOf("type", e.Type, Types()...)
	p.mediaType("datacontenttype")
	e.Time = p.time("time", now)
	p.absent("data_base64", "is not taken; send data as a JSON object")
	if p.err == nil && unfit(raw) {
		p.fail("data", "is nested too deeply, or has a NUL in it")
	}
	e.Data = p.data(e.Type)
	if p.err != nil {
		return e, p.err
	}
	e.Raw = raw
	if isNull(fields["time"]) {
		if e.Raw, err = withTime(fields, e.Time); err != nil {
			return e, &Invalid{Detail: "can't be encoded again"}
		}
	}
	return e, nil
}

func withTime(fields map[string]json.RawMessage, at time.Time) (json.RawMessage, error) {
	text, err := json.Marshal(at)
	if err != nil {
		return nil, err
	}
	fields["time"] = text
	return json.Marshal(fields)
}

func isURIReference(s string) bool {
	_, err := url.Parse(s)
	return err == nil && !strings.ContainsAny(s, " \"<>\\^`{|}")
}

// unfit reports what MongoDB could not take, or not well, in a JSON that is
// valid: deep nesting, and NULs.
func unfit(raw []byte) bool {
	depth := 0
	for i, quoted := 0, false; i < len(raw); i++ {
		switch b := raw[i]; {
		case b == '"':
			quoted = !quoted
		case b == '\\':
			if bytes.HasPrefix(raw[i+1:], []byte("u0000")) {
				return true
			}
			i++ // what is escaped is not looked at
		case quoted:
		case b == '{' || b == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}

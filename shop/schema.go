package shop

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// need says whether a field must be there.
type need bool

const (
	optional need = false
	required need = true
)

// reader reads the fields of an object and keeps the first fault.
type reader struct {
	fields map[string]json.RawMessage
	prefix string
	err    error
}

func parseObject(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if fields == nil { // null
		return nil, fmt.Errorf("no object")
	}
	return fields, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = &Invalid{r.prefix + field, fmt.Sprintf(format, args...)}
	}
}

// raw returns a field, nil where it is not there.
func (r *reader) raw(name string, n need) json.RawMessage {
	raw := r.fields[name]
	if !isNull(raw) {
		return raw
	}
	if n == required {
		r.fail(name, "is missing")
	}
	return nil
}

// text returns a string of 1 to limit characters without control characters.
func (r *reader) text(name string, limit int, n need) string {
	raw := r.raw(name, n)
	if raw == nil {
		return ""
	}
	var s string
	switch err := json.Unmarshal(raw, &s); {
	case err != nil:
		r.fail(name, "must be a string")
		return ""
	case s == "" || len(s) > limit:
		r.fail(name, "must have 1 to %d bytes", limit)
		return ""
	case strings.ContainsFunc(s, unicode.IsControl):
		r.fail(name, "has a control character")
		return ""
	}
	return s
}

func (r *reader) oneOf(name, value string, values ...string) {
	if r.err == nil && !slices.Contains(values, value) {
		r.fail(name, "must be one of %s", strings.Join(values, ", "))
	}
}

func (r *reader) absent(name, why string) {
	if !isNull(r.fields[name]) {
		r.fail(name, "%s", why)
	}
}

func (r *reader) mediaType(name string) {
	s := r.text(name, maxText, optional)
	if s == "" {
		return
	}
	if mt, _, err := mime.ParseMediaType(s); err != nil || (mt != "application/json" && !strings.HasSuffix(mt, "+json")) {
		r.fail(name, "must be application/json")
	}
}

// time returns a time of RFC 3339, now where there is none. Microseconds and
// below are cut off: MongoDB and Elasticsearch keep milliseconds.
func (r *reader) time(name string, now time.Time) time.Time {
	s := r.text(name, maxText, optional)
	if s == "" {
		return now.UTC().Truncate(time.Millisecond)
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		r.fail(name, "must be a time of RFC 3339, as 2026-01-31T12:00:00Z")
	}
	return at.UTC().Truncate(time.Millisecond)
}

// integer returns a whole number of 1 to limit, 0 where there is none.
func (r *reader) integer(name string, limit int64, n need) int64 {
	raw := r.raw(name, n)
	if raw == nil {
		return 0
	}
	i, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || i < 1 || i > limit {
		r.fail(name, "must be a whole number from 1 to %d", limit)
		return 0
	}
	return i
}

// money returns an amount in the given currency. It may be a number or, for
// senders whose JSON has only floats, a string.
func (r *reader) money(name, currency string, n need) *Money {
	raw := r.raw(name, n)
	if raw == nil {
		return nil
	}
	number := string(raw)
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			number = s
		}
	}
	if currency == "" {
		r.fail("currency", "is missing: %s needs it", name)
		return nil
	}
	m, err := ParseMoney(number, currency)
	if err != nil {
		r.fail(name, "%s", err)
		return nil
	}
	return &m
}

func (r *reader) country(name string) string {
	s := r.text(name, maxText, optional)
	if s == "" {
		return ""
	}
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		r.fail(name, "must be a country of ISO 3166-1 alpha-2, as DE")
	}
	return s
}

func (r *reader) currency(name string, n need) string {
	s := r.text(name, maxText, n)
	if s == "" {
		return ""
	}
	code, err := ParseCurrency(s)
	if err != nil {
		r.fail(name, "%s", err)
	}
	return code
}

// data reads the field data by the schema of the event's type:
//
//	all            session_id; user_id, category, country, price with currency
//	shop.view      product_id
//	shop.action    action
//	shop.cart      product_id, quantity
//	shop.purchase  order_id, amount, currency
//
// What a type does not need is checked all the same where it is there.
func (r *reader) data(kind string) Data {
	raw := r.raw("data", required)
	if r.err != nil {
		return Data{}
	}
	fields, err := parseObject(raw)
	if err != nil {
		r.fail("data", "must be a JSON object")
		return Data{}
	}
	d := &reader{fields: fields, prefix: "data."}
	when := func(kinds ...string) need { return need(slices.Contains(kinds, kind)) }
	out := Data{
		SessionID: d.text("session_id", maxText, required),
		UserID:    d.text("user_id", maxText, optional),
		ProductID: d.text("product_id", maxText, when(TypeView, TypeCart)),
		Category:  d.text("category", maxText, optional),
		Country:   d.country("country"),
		Action:    d.text("action", maxText, when(TypeAction)),
		OrderID:   d.text("order_id", maxText, when(TypePurchase)),
		Quantity:  d.integer("quantity", maxQuantity, when(TypeCart)),
	}
	currency := d.currency("currency", when(TypePurchase))
	out.Price = d.money("price", currency, optional)
	out.Amount = d.money("amount", currency, when(TypePurchase))
	r.err = d.err
	return out
}

package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// shopfloor is where visitors walk from views to, some of them, a purchase.
type shopfloor struct {
	random   *rand.Rand
	run      string
	start    time.Time
	sessions int
	events   int
	open     []*visit
}

// visit is a session with what its visitor is still going to do.
type visit struct {
	id      string
	country country
	next    []step
}

type step struct {
	kind, action, order string
	product             product
	quantity            int
}

type product struct {
	id, category string
	euros        int
}

// country has a currency, what 100 euros are about worth in it, and how many
// decimals it is written with.
type country struct {
	code, currency string
	rate           int
	decimals       int
}

func (f *shopfloor) country() country {
	return pick(f.random,
		country{"DE", "EUR", 100, 2}, country{"DE", "EUR", 100, 2}, country{"FR", "EUR", 100, 2}, country{"GB", "GBP", 85, 2},
		country{"US", "USD", 108, 2}, country{"JP", "JPY", 16000, 0}, country{"CH", "CHF", 95, 2}, country{"SE", "SEK", 1130, 2},
	)
}

func (f *shopfloor) product() product {
	category := pick(f.random, "lamps", "lamps", "chairs", "books", "books", "shoes", "phones", "toys")
	n := f.random.IntN(8)
	return product{fmt.Sprintf("%s-%d", category, n), category, 5 + 13*n}
}

// event is a CloudEvent, https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	Data        data      `json:"data"`
}

type data struct {
	SessionID string `json:"session_id"`
	ProductID string `json:"product_id,omitempty"`
	Category  string `json:"category,omitempty"`
	Country   string `json:"country"`
	Action    string `json:"action,omitempty"`
	OrderID   string `json:"order_id,omitempty"`
	Quantity  int    `json:"quantity,omitempty"`
	Price     string `json:"price,omitempty"`
	Amount    string `json:"amount,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

const (
	visitsAtOnce = 20 // beyond that no new visitor comes in before one has left
	batchLimit   = 4
)

// batch returns what one visitor has done lately: one to four events.
func (f *shopfloor) batch(at time.Duration) []event {
	if len(f.open) == 0 || len(f.open) < visitsAtOnce && f.random.IntN(3) == 0 {
		f.open = append(f.open, f.visit())
	}
	place := f.random.IntN(len(f.open))
	v := f.open[place]
	n := min(1+f.random.IntN(batchLimit), len(v.next))
	events := make([]event, n)
	for i, s := range v.next[:n] {
		f.events++
		events[i] = event{
			SpecVersion: "1.0", ID: strconv.Itoa(f.events), Source: "/load/" + f.run, Type: s.kind,
			Time: f.start.Add(at - time.Duration(n-1-i)*100*time.Millisecond).UTC(),
			Data: s.data(v),
		}
	}
	if v.next = v.next[n:]; len(v.next) == 0 {
		f.open = append(f.open[:place], f.open[place+1:]...)
	}
	return events
}

// visit plans a session. Of a hundred, about sixty act, forty put something
// into the cart, and half of those buy.
func (f *shopfloor) visit() *visit {
	f.sessions++
	v := &visit{id: fmt.Sprintf("%s-%d", f.run, f.sessions), country: f.country()}
	var seen product
	for range 1 + f.random.IntN(6) {
		seen = f.product()
		v.next = append(v.next, step{kind: "shop.view", product: seen})
	}
	if f.random.IntN(100) < 60 {
		v.next = append(v.next, step{kind: "shop.action", product: seen, action: pick(f.random, "search", "filter", "wish", "review")})
	}
	if f.random.IntN(100) >= 40 {
		return v
	}
	quantity := 1 + f.random.IntN(3)
	v.next = append(v.next, step{kind: "shop.cart", product: seen, quantity: quantity})
	if f.random.IntN(100) < 50 {
		v.next = append(v.next, step{kind: "shop.purchase", product: seen, quantity: quantity, order: v.id})
	}
	return v
}

func (s step) data(v *visit) data {
	d := data{
		SessionID: v.id, ProductID: s.product.id, Category: s.product.category, Country: v.country.code,
		Action: s.action, OrderID: s.order, Quantity: s.quantity,
	}
	if s.quantity > 0 {
		d.Currency, d.Price = v.country.currency, v.country.price(s.product.euros)
	}
	if s.order != "" {
		d.Amount = v.country.price(s.product.euros * s.quantity)
	}
	return d
}

func (c country) price(euros int) string {
	hundredths := euros * c.rate
	if c.decimals == 0 {
		return strconv.Itoa(hundredths / 100)
	}
	return fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
}

// Package load makes traffic such as users make: feeds, posts, tasks, visits to
// the shop, and mistakes. The model is open: requests are sent when they are
// due, whether or not earlier ones were answered, and latency counts from when
// a request was due, so that a service that slows down does not slow down what
// measures it (http://highscalability.com/blog/2015/10/5/your-load-generator-is-probably-lying-to-you-take-the-red-pi.html).
package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a request stands for.
type Kind string

// The kinds of requests.
const (
	Feed Kind = "feed" // a user reads
	Post Kind = "post" // a user writes
	Task Kind = "task" // a program asks for a number
	Page Kind = "page" // a browser asks for a page
	Shop Kind = "shop" // a visitor's events, as a batch
	Bad  Kind = "bad"  // a mistake that must be answered with 4xx
)

// Kinds returns every kind.
func Kinds() []Kind { return []Kind{Feed, Post, Task, Page, Shop, Bad} }

// Mix is the weight of each kind; those that are missing do not occur.
type Mix map[Kind]int

// DefaultMix is mostly reading.
func DefaultMix() Mix { return Mix{Feed: 40, Post: 8, Task: 20, Page: 10, Shop: 17, Bad: 5} }

// ParseMix reads weights such as "feed=40,post=8".
func ParseMix(text string) (Mix, error) {
	m := Mix{}
	for part := range strings.SplitSeq(text, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(weight)
		if err != nil || n < 0 || n > 1_000_000 || !slices.Contains(Kinds(), Kind(name)) {
			return nil, fmt.Errorf("%q is no weight such as feed=40; kinds are %v", part, Kinds())
		}
		m[Kind(name)] = n
	}
	if m.total() == 0 {
		return nil, errors.New("no kind has a weight above 0")
	}
	return m, nil
}

func (m Mix) total() int {
	total := 0
	for _, n := range m {
		total += n
	}
	return total
}

// Nobody asks without being signed in.
const Nobody = -1

// Request is one request of a plan.
type Request struct {
	At           time.Duration // when it is due, since the start
	Kind         Kind
	User         int // who asks, by number; or Nobody
	Method, Path string
	Accept       string
	ContentType  string
	Body         []byte
	Want         int // the status that it must get
}

// PlanConfig says what is planned. Equal configurations make equal plans.
type PlanConfig struct {
	Seed     uint64
	Rate     float64 // requests a second; more than 0
	Constant bool    // evenly spaced; otherwise as a Poisson process
	Users    int     // at least 1
	Mix      Mix
	// Run is part of the shop events' ids: an event that was sent before would
	// have no effect again.
	Run   string
	Start time.Time // what the shop events' times count from
}

// Plan is an endless sequence of requests. It is not safe for concurrent use.
type Plan struct {
	cfg    PlanConfig
	random *rand.Rand
	reader *rand.Zipf // some users come often, most seldom
	shop   *shopfloor
	at     time.Duration
}

// NewPlan returns the plan.
func NewPlan(cfg PlanConfig) *Plan {
	random := rand.New(rand.NewPCG(cfg.Seed, 0)) //nolint:gosec // a sequence to be repeated, no secret
	return &Plan{
		cfg: cfg, random: random, reader: rand.NewZipf(random, 1.2, 4, uint64(cfg.Users-1)),
		shop: &shopfloor{random: random, run: cfg.Run, start: cfg.Start},
	}
}

// Next returns the next request.
func (p *Plan) Next() Request {
	gap := 1.0
	if !p.cfg.Constant {
		gap = p.random.ExpFloat64()
	}
	p.at += time.Duration(gap / p.cfg.Rate * float64(time.Second))
	r := p.make(p.kind())
	r.At = p.at
	return r
}

func (p *Plan) kind() Kind {
	n := p.random.IntN(p.cfg.Mix.total())
	for _, k := range Kinds() {
		if n -= p.cfg.Mix[k]; n < 0 {
			return k
		}
	}
	return Feed // not reached: the weights add up to the total
}

func (p *Plan) make(kind Kind) Request {
	r := Request{Kind: kind, User: Nobody, Method: http.MethodGet, Accept: "application/json", Want: http.StatusOK}
	switch kind {
	case Feed:
		r.User = p.user()
		r.Path = "/v1/feed?limit=" + pick(p.random, "10", "20", "20", "50")
		if p.random.IntN(10) == 0 {
			r.Path = "/v1/users/me/requests?limit=20"
		}
	case Post:
		r.User = p.user()
		r.post("/v1/posts", "application/json", map[string]string{"text": p.text()}, http.StatusCreated)
	case Task:
		r.Path = p.task()
	case Page:
		r.Accept = "text/html"
		if r.Path = "/"; p.random.IntN(3) > 0 {
			r.Path = p.task()
		}
	case Shop:
		r.User = p.user()
		r.post("/v1/events", "application/cloudevents-batch+json", p.shop.batch(p.at), http.StatusAccepted)
	case Bad:
		p.mistake(&r)
	}
	return r
}

func (r *Request) post(path, contentType string, body any, want int) {
	r.Method, r.Path, r.ContentType, r.Want = http.MethodPost, path, contentType, want
	r.Body, _ = json.Marshal(body) // strings, numbers and times always marshal
}

func (p *Plan) user() int { return int(p.reader.Uint64()) }

func (p *Plan) task() string {
	switch p.random.IntN(3) {
	case 0:
		return "/tasks/fibonacci?n=" + strconv.Itoa(p.random.IntN(500))
	case 1:
		return "/tasks/factorial?n=" + strconv.Itoa(p.random.IntN(200))
	}
	return fmt.Sprintf("/tasks/ackermann?m=%d&n=%d", p.random.IntN(4), p.random.IntN(9))
}

func (p *Plan) text() string {
	words := make([]string, 4+p.random.IntN(12))
	for i := range words {
		words[i] = pick(p.random, "the", "a", "light", "harbour", "ship", "storm", "signal", "keeper", "lamp", "night",
			"fog", "coast", "turns", "shines", "waits", "and", "over", "under", "again", "slowly")
	}
	return strings.Join(words, " ") + "."
}

// mistake is one of those that real clients make.
func (p *Plan) mistake(r *Request) {
	switch p.random.IntN(6) {
	case 0:
		r.Path, r.Want = "/wp-login.php", http.StatusNotFound
	case 1:
		r.Path, r.Want = "/v1/users/"+strconv.Itoa(p.random.IntN(1000)), http.StatusNotFound
	case 2:
		r.Path, r.Want = "/tasks/fibonacci?n=ninety", http.StatusBadRequest
	case 3:
		r.Path, r.Want = "/tasks/ackermann?m=2", http.StatusBadRequest
	case 4:
		r.Path, r.Want = "/v1/feed", http.StatusUnauthorized
	case 5:
		r.User = p.user()
		r.post("/v1/posts", "application/json", map[string]string{"txet": "typo"}, http.StatusBadRequest)
	}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

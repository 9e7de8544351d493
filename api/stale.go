package api

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// staleAnswers keeps the last answers of feed, to be served while feed is away.
// It is bounded by the bytes of the bodies; what was used longest ago goes
// first.
type staleAnswers struct {
	maxBytes int
	maxAge   time.Duration
	now      func() time.Time

	mu    sync.Mutex
	lru   *simplelru.LRU[answerKey, keptAnswer]
	bytes int
}

type answerKey struct {
	userID string
	limit  int
	cursor string
}

type keptAnswer struct {
	body []byte
	at   time.Time // when the content was made
}

// entryBytes is about what an entry takes beside its body.
const entryBytes = 256

func newStaleAnswers(maxBytes int, maxAge time.Duration, now func() time.Time) *staleAnswers {
	s := &staleAnswers{maxBytes: maxBytes, maxAge: maxAge, now: now}
	// The number of entries follows from the bytes.
	lru, err := simplelru.NewLRU(max(maxBytes/entryBytes, 1), func(_ answerKey, a keptAnswer) { s.bytes -= len(a.body) + entryBytes })
	if err != nil {
		panic(err) //nolint:forbidigo // the size above is positive
	}
	s.lru = lru
	return s
}

func (s *staleAnswers) put(key answerKey, body []byte, at time.Time) {
	if len(body)+entryBytes > s.maxBytes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(key) // Add would replace it without telling
	s.lru.Add(key, keptAnswer{body, at})
	for s.bytes += len(body) + entryBytes; s.bytes > s.maxBytes; {
		s.lru.RemoveOldest()
	}
}

func (s *staleAnswers) get(key answerKey) (body []byte, age time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.lru.Get(key)
	if !ok {
		return nil, 0, false
	}
	if age = s.now().Sub(a.at); age > s.maxAge {
		s.lru.Remove(key)
		return nil, 0, false
	}
	return a.body, age, true
}

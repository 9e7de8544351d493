package api

import (
	"strings"
	"testing"
	"time"
)

func TestStaleAnswers(t *testing.T) {
	now := time.Now()
	s := newStaleAnswers(10*(100+entryBytes), time.Minute, func() time.Time { return now })
	key := func(user string) answerKey { return answerKey{user, 20, ""} }
	body := []byte(strings.Repeat("x", 100))
	for _, user := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"} {
		s.put(key(user), body, now)
	}
	if _, _, ok := s.get(key("1")); !ok {
		t.Error("dropped although there was room")
	}
	s.put(key("1"), body, now) // again: takes no more room
	s.put(key("11"), body, now)
	if _, _, ok := s.get(key("2")); ok {
		t.Error("the one used longest ago is still there")
	}
	if _, _, ok := s.get(key("1")); !ok || s.bytes != s.maxBytes || s.lru.Len() != 10 {
		t.Errorf("kept %v, %d bytes in %d entries", ok, s.bytes, s.lru.Len())
	}
	s.put(key("huge"), make([]byte, s.maxBytes), now)
	if s.lru.Len() != 10 {
		t.Error("a huge answer drove others out")
	}
	now = now.Add(30 * time.Second)
	if _, age, ok := s.get(key("11")); !ok || age != 30*time.Second {
		t.Errorf("age %v, %v", age, ok)
	}
	now = now.Add(31 * time.Second)
	if _, _, ok := s.get(key("11")); ok {
		t.Error("too old, and served")
	}
}

func TestMarkDegraded(t *testing.T) {
	for body, want := range map[string]string{
		`{"items":[],"next_cursor":""}`: `{"items":[],"next_cursor":"","degraded":["feed"]}`,
		`{}`:                            `{"degraded":["feed"]}`,
		`[]`:                            `[]`,
	} {
		if got := string(markDegraded([]byte(body), []string{"feed"})); got != want {
			t.Errorf("%s became %s", body, got)
		}
	}
	if got := string(markDegraded([]byte(`{"a":1}`), nil)); got != `{"a":1}` {
		t.Errorf("without a reason: %s", got)
	}
}

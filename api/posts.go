package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/feed"
	"pharos/feed/feedhttp"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
)

type newPost struct {
	Text string `json:"text"`
}

func (s *Server) createPost(c *gin.Context) {
	var in newPost
	if !decode(c, &in, func() error { return feed.ValidateText(in.Text) }) {
		return
	}
	p, err := s.feed.CreatePost(c.Request.Context(), call(c), in.Text, effect(c))
	if err != nil {
		s.problem(c, fmt.Errorf("create post: %w", err))
		return
	}
	c.JSON(http.StatusCreated, p)
}

// effect names what a request with an Idempotency-Key brings about, for a store
// that outlives what is remembered of the key; "" for one without.
func effect(c *gin.Context) string {
	key := c.GetHeader(idempotency.Header)
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (s *Server) deletePost(c *gin.Context) {
	s.answer(c, "delete post", s.feed.DeletePost(c.Request.Context(), call(c), c.Param("id")))
}

func (s *Server) follow(c *gin.Context) {
	s.answer(c, "follow", s.feed.Follow(c.Request.Context(), call(c), c.Param("handle")))
}

func (s *Server) unfollow(c *gin.Context) {
	s.answer(c, "unfollow", s.feed.Unfollow(c.Request.Context(), call(c), c.Param("handle")))
}

func (s *Server) timeline(c *gin.Context) {
	limit, cursor, err := page(c)
	if err != nil {
		s.problem(c, err)
		return
	}
	in := call(c)
	key := answerKey{in.Identity.UserID, limit, cursor}
	answer, err := s.feed.Timeline(c.Request.Context(), in, limit, cursor)
	switch {
	case err == nil:
		s.stale.put(key, answer.JSON, s.now().Add(-answer.Age))
	case isOutage(err):
		body, age, ok := s.stale.get(key)
		if !ok {
			s.problem(c, fmt.Errorf("read feed: %w", err))
			return
		}
		httpserver.LogFault(c, fmt.Errorf("feed of %s ago served: %w", age.Round(time.Second), err))
		answer = feedhttp.Answer{JSON: body, Age: age, Degraded: []string{"feed"}}
	default:
		s.problem(c, fmt.Errorf("read feed: %w", err))
		return
	}
	encodeFeed(c, answer)
}

// isOutage tells feed being away, too busy or without its stores from an answer.
func isOutage(err error) bool {
	switch fault.From(err).Code {
	case fault.Unavailable, fault.Overloaded, fault.Timeout:
		return true
	}
	return false
}

func (s *Server) requests(c *gin.Context) {
	limit, cursor, err := page(c)
	if err != nil {
		s.problem(c, err)
		return
	}
	answer, err := s.feed.Requests(c.Request.Context(), call(c), limit, cursor)
	if err != nil {
		s.problem(c, fmt.Errorf("read requests: %w", err))
		return
	}
	encode(c, answer)
}

const jsonType = "application/json; charset=utf-8"

// encode answers with a body of feed's as it is.
func encode(c *gin.Context, a feedhttp.Answer) {
	c.Header("Cache-Control", "private, no-store")
	c.Data(http.StatusOK, jsonType, a.JSON)
}

// encodeFeed answers with a page of the feed. A client may keep it and ask
// whether it still holds. What was away when it was made is in "degraded", and a
// stale one has Age and Warning (RFC 7234, 5.5.1); such a page is not to be kept
// beyond the outage, so that it has no ETag.
func encodeFeed(c *gin.Context, a feedhttp.Answer) {
	c.Header("Cache-Control", "private, no-cache")
	c.Writer.Header().Add("Vary", "Authorization, "+apiKeyHeader)
	if len(a.Degraded) == 0 {
		answerOrUnchanged(c, jsonType, a.JSON)
		return
	}
	if a.Age > 0 {
		c.Header("Age", strconv.FormatInt(int64(a.Age/time.Second), 10))
		c.Header("Warning", `110 - "Response is Stale"`)
	}
	c.Data(http.StatusOK, jsonType, markDegraded(a.JSON, a.Degraded))
}

// markDegraded adds the names to a JSON object as its last member.
func markDegraded(object []byte, parts []string) []byte {
	end := bytes.LastIndexByte(object, '}')
	if len(parts) == 0 || end < 0 {
		return object
	}
	names, err := json.Marshal(parts)
	if err != nil { // strings always marshal
		return object
	}
	member := `,"degraded":`
	if len(bytes.TrimSpace(object[:end])) == 1 {
		member = member[1:]
	}
	return slices.Concat(object[:end], []byte(member), names, []byte("}"))
}

// page reads the parameters that every list takes: limit and cursor.
func page(c *gin.Context) (limit int, cursor string, err error) {
	limit = feed.DefaultLimit
	for name, values := range c.Request.URL.Query() {
		if len(values) > 1 {
			return 0, "", fault.Field(fault.InvalidParameter, name, "%s is given more than once.", name)
		}
		switch name {
		case "limit":
			limit, err = strconv.Atoi(values[0])
			if err != nil || limit < 1 || limit > feed.MaxLimit {
				return 0, "", fault.Field(fault.InvalidParameter, "limit", "limit must be a whole number from 1 to %d.", feed.MaxLimit)
			}
		case "cursor":
			cursor = values[0]
		default:
			return 0, "", fault.Field(fault.InvalidParameter, name, "There is no parameter of this name; limit and cursor are.")
		}
	}
	return limit, cursor, nil
}

package receivertest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Slack stands in for an incoming webhook of Slack.
// https://api.slack.com/messaging/webhooks#handling_errors
type Slack struct {
	receiver
	messages []map[string]any
}

// NewSlack starts a stand-in.
func NewSlack(t testing.TB) *Slack {
	t.Helper()
	return ListenSlack(t, anyPort)
}

// ListenSlack is NewSlack at an address that the sender knows already.
func ListenSlack(t testing.TB, addr string) *Slack {
	t.Helper()
	s := &Slack{}
	const maxBody = 1 << 20
	s.serve(t, addr, "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", maxBody, s.take)
	return s
}

// Messages are what was taken, in order.
func (s *Slack) Messages() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any{}, s.messages...)
}

func (s *Slack) take(body []byte, header http.Header) (broken []string, status int, answer string) {
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		broken = append(broken, "Content-Type is "+header.Get("Content-Type"))
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		return append(broken, "the body is no JSON object"), http.StatusBadRequest, "invalid_payload"
	}
	broken = append(broken, checkMessage(in)...)
	if len(broken) > 0 {
		return broken, http.StatusBadRequest, "invalid_payload"
	}
	s.messages = append(s.messages, in)
	return nil, http.StatusOK, "ok"
}

func checkMessage(in map[string]any) []string {
	const (
		maxText        = 40_000
		maxAttachments = 100
		maxBlocks      = 50
	)
	c := &checker{}
	c.only(in, "the message", "text", "blocks", "attachments", "channel", "username", "icon_url", "icon_emoji",
		"thread_ts", "mrkdwn", "link_names", "unfurl_links", "unfurl_media")
	for _, key := range []string{"channel", "username", "icon_url", "icon_emoji"} {
		c.text(in, key, false, 0)
	}
	text := c.text(in, "text", false, maxText)
	attachments, _ := in["attachments"].([]any)
	blocks, _ := in["blocks"].([]any)
	if text == "" && len(attachments) == 0 && len(blocks) == 0 {
		c.fail("no_text")
	}
	if len(attachments) > maxAttachments {
		c.fail("too_many_attachments")
	}
	if len(blocks) > maxBlocks {
		c.fail("more than 50 blocks")
	}
	c.list(in, "attachments", func(a map[string]any) {
		c.only(a, "an attachment", "fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title", "title_link",
			"text", "fields", "image_url", "thumb_url", "footer", "footer_icon", "ts", "mrkdwn_in", "actions", "blocks")
		for _, key := range []string{"fallback", "color", "pretext", "author_name", "author_link", "title", "title_link", "text", "image_url", "thumb_url"} {
			c.text(a, key, false, 0)
		}
		c.list(a, "fields", func(f map[string]any) {
			c.only(f, "a field", "title", "value", "short")
			if _, ok := f["short"].(bool); f["short"] != nil && !ok {
				c.fail("short must be a boolean")
			}
		})
	})
	return c.broken
}

package email

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"

	"pharos/watcher"
	"pharos/watcher/document"
)

// message is an e-mail, rendered.
type message struct {
	id, from, priority, subject string
	hasPriority, hasSubject     bool
	sent                        time.Time
	lists                       map[string][]string // reply_to, to, cc, bcc
	text, html                  *string
	files                       []file
}

func (a *action) render(ctx context.Context, run watcher.Run) (*message, error) {
	m := &message{
		id: run.ActionID + "_" + run.ID + "_" + a.deps.NewID(), from: a.deps.Account.from(), sent: run.Now, lists: map[string][]string{},
	}
	for key, into := range map[string]*string{"from": &m.from, "priority": &m.priority, "subject": &m.subject} {
		t := a.texts[key]
		if t == nil {
			continue
		}
		text, err := a.deps.Renderer.Render(ctx, t, run.Model)
		if err != nil {
			return nil, err
		}
		*into = text
	}
	m.hasPriority, m.hasSubject = a.texts["priority"] != nil, a.texts["subject"] != nil
	if m.hasPriority {
		m.priority = strings.ToLower(m.priority)
		if _, ok := priorities[m.priority]; !ok {
			return nil, fmt.Errorf("[%s] is not a valid email priority", m.priority)
		}
	}
	for key, list := range a.lists {
		m.lists[key] = []string{}
		for _, t := range list {
			text, err := a.deps.Renderer.Render(ctx, t, run.Model)
			if err != nil {
				return nil, err
			}
			addresses, err := mail.ParseAddressList(text)
			if err != nil {
				return nil, fmt.Errorf("%s [%s]: %w", key, text, err)
			}
			for _, address := range addresses {
				m.lists[key] = append(m.lists[key], plainAddress(address))
			}
		}
	}
	if a.text != nil {
		text, err := a.deps.Renderer.Render(ctx, a.text, run.Model)
		if err != nil {
			return nil, err
		}
		m.text = &text
	}
	if a.html != nil {
		html, err := a.deps.Renderer.Render(ctx, a.html, run.Model)
		if err != nil {
			return nil, err
		}
		html = sanitizer().Sanitize(html)
		m.html = &html
	}
	var err error
	m.files, err = a.files(ctx, run)
	return m, err
}

//nolint:gochecknoglobals // a table that is only read
var priorities = map[string]string{"highest": "1", "high": "2", "normal": "3", "low": "4", "lowest": "5"}

// plainAddress prints an address as Java's mail does: Name <a@b>, or a@b.
func plainAddress(a *mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	if strings.ContainsAny(a.Name, `()<>[]:;@\,."`) {
		return a.String()
	}
	return a.Name + " <" + a.Address + ">"
}

// sanitizer lets through what Elastic's does by default: formatting, blocks,
// tables, links, and images that are attached (cid:). No styles, no scripts.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/notification-settings.html#html-sanitization
func sanitizer() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("body", "head",
		"b", "i", "s", "u", "o", "sup", "sub", "ins", "del", "strong", "strike", "tt", "code", "big", "small", "br", "span", "em", "hr",
		"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote",
		"table", "th", "tr", "td", "caption", "col", "colgroup", "thead", "tbody", "tfoot")
	p.AllowNoAttrs().OnElements("span", "col")
	p.AllowAttrs("span").OnElements("col")
	p.AllowAttrs("border", "cellpadding").OnElements("table")
	p.AllowAttrs("colspan", "rowspan").OnElements("th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto", "cid")
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.AllowAttrs("src").Matching(attached).OnElements("img")
	return p
}

// record is the e-mail as Elastic's records show it.
func (m *message) record() *document.Object {
	o := document.NewObject(document.Pair{Key: "id", Value: m.id})
	if m.from != "" {
		o.Set("from", m.from)
	}
	m.setList(o, "reply_to")
	if m.hasPriority {
		o.Set("priority", m.priority)
	}
	o.Set("sent_date", m.sent)
	for _, key := range []string{"to", "cc", "bcc"} {
		m.setList(o, key)
	}
	var subject any
	if m.hasSubject {
		subject = m.subject
	}
	o.Set("subject", subject)
	if m.text != nil || m.html != nil {
		body := document.NewObject()
		if m.text != nil {
			body.Set("text", *m.text)
		}
		if m.html != nil {
			body.Set("html", *m.html)
		}
		o.Set("body", body)
	}
	return o
}

func (m *message) setList(o *document.Object, key string) {
	if list, ok := m.lists[key]; ok {
		values := []any{}
		for _, v := range list {
			values = append(values, v)
		}
		o.Set(key, values)
	}
}

package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/mustache"
)

// message is the template under message.
type message struct {
	from, text, icon *mustache.Template
	to               []*mustache.Template
	hasTo            bool
	attachments      []attachment
	hasAttachments   bool
	dynamic          *dynamic
}

// dynamic makes an attachment of each element of a list in the model.
type dynamic struct {
	listPath string
	template attachment
}

func parseMessage(path string, v any) (message, error) {
	in := fields.Read(path, "could not parse slack message", v)
	m := message{from: in.Template("from"), text: in.Template("text"), icon: in.Template("icon")}
	m.to, m.hasTo = in.Templates("to")
	parseList(in, "attachments", func(path string, v any) error {
		a, err := parseAttachment(path, v)
		m.attachments = append(m.attachments, a)
		return err
	})
	m.hasAttachments = in.Has("attachments")
	if v, ok := in.Value("dynamic_attachments"); ok {
		inner := fields.Read(in.Path("dynamic_attachments"), "could not parse dynamic attachments", v)
		m.dynamic = &dynamic{}
		var hasPath bool
		if m.dynamic.listPath, hasPath = inner.String("list_path"); !hasPath {
			inner.Fail("list_path", "missing required field [list_path]")
		}
		template, ok := inner.Value("attachment_template")
		if !ok {
			inner.Fail("attachment_template", "missing required field [attachment_template]")
		} else {
			a, err := parseAttachment(inner.Path("attachment_template"), template)
			inner.Keep(err)
			m.dynamic.template = a
		}
		in.Keep(inner.Done())
	}
	return m, in.Done()
}

// value is the message as Elastic's GET shows it.
func (m message) value() *document.Object {
	o := document.NewObject()
	if m.from != nil {
		o.Set("from", m.from.Value())
	}
	if m.hasTo {
		o.Set("to", values(m.to))
	}
	if m.text != nil {
		o.Set("text", m.text.Value())
	}
	if m.icon != nil {
		o.Set("icon", m.icon.Value())
	}
	if m.hasAttachments {
		list := []any{}
		for _, a := range m.attachments {
			list = append(list, a.value())
		}
		o.Set("attachments", list)
	}
	if m.dynamic != nil {
		o.Set("dynamic_attachments", document.NewObject(
			document.Pair{Key: "list_path", Value: m.dynamic.listPath},
			document.Pair{Key: "attachment_template", Value: m.dynamic.template.value()}))
	}
	return o
}

// rendered is a message ready for each of its receivers.
type rendered struct {
	from, icon, text string
	hasText          bool
	to               []string
	attachments      []any // nil: none were given
}

func (m message) render(ctx context.Context, r mustache.Renderer, run watcher.Run, d Defaults) (*rendered, error) {
	out := &rendered{from: d.From, icon: d.Icon, text: d.Text, hasText: d.Text != "", to: d.To}
	if out.from == "" {
		out.from = run.WatchID
	}
	for _, f := range []struct {
		template *mustache.Template
		into     *string
	}{{m.from, &out.from}, {m.icon, &out.icon}, {m.text, &out.text}} {
		if f.template == nil {
			continue
		}
		text, err := r.Render(ctx, f.template, run.Model)
		if err != nil {
			return nil, err
		}
		*f.into = text
	}
	out.hasText = out.hasText || m.text != nil
	if m.hasTo {
		out.to = nil
		for _, t := range m.to {
			text, err := r.Render(ctx, t, run.Model)
			if err != nil {
				return nil, err
			}
			out.to = append(out.to, text)
		}
	}
	if err := m.renderAttachments(ctx, r, run.Model, out); err != nil {
		return nil, err
	}
	if !out.hasText && out.attachments == nil {
		return nil, errors.New("Both text and attachments cannot be null.") //nolint:revive,staticcheck // Elastic's words
	}
	return out, nil
}

func (m message) renderAttachments(ctx context.Context, r mustache.Renderer, model *document.Object, out *rendered) error {
	if m.hasAttachments || m.dynamic != nil {
		out.attachments = []any{}
	}
	for _, a := range m.attachments {
		o, err := a.render(ctx, r, model)
		if err != nil {
			return err
		}
		out.attachments = append(out.attachments, o)
	}
	if m.dynamic == nil {
		return nil
	}
	value := document.At(model, m.dynamic.listPath)
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("dynamic attachment could not be resolved. expected context [%s] to be a list, but found [%s] instead",
			m.dynamic.listPath, document.String(value))
	}
	for _, e := range list {
		element, ok := e.(*document.Object)
		if !ok {
			return fmt.Errorf("dynamic attachment could not be resolved. expected [%s] list to contain key/value pairs, but found [%s] instead",
				m.dynamic.listPath, document.String(e))
		}
		o, err := m.dynamic.template.render(ctx, r, element)
		if err != nil {
			return err
		}
		out.attachments = append(out.attachments, o)
	}
	return nil
}

// record is the message as Elastic's records show it.
func (m *rendered) record(withTo bool) *document.Object {
	o := document.NewObject(document.Pair{Key: "from", Value: m.from})
	if withTo && m.to != nil {
		to := []any{}
		for _, t := range m.to {
			to = append(to, t)
		}
		o.Set("to", to)
	}
	if m.icon != "" {
		o.Set("icon", m.icon)
	}
	if m.hasText {
		o.Set("text", m.text)
	}
	if m.attachments != nil {
		o.Set("attachments", m.attachments)
	}
	return o
}

// maxText is where Slack cuts a message's text.
// https://api.slack.com/changelog/2018-04-truncating-really-long-messages
const maxText = 40_000

// body is what is posted to the webhook for one receiver.
func (m *rendered) body(to string, links []alert.Link) *document.Object {
	o := document.NewObject()
	if to != "" {
		o.Set("channel", to)
	}
	o.Set("username", m.from)
	switch {
	case strings.HasPrefix(m.icon, "http"):
		o.Set("icon_url", m.icon)
	case m.icon != "":
		o.Set("icon_emoji", m.icon)
	}
	if m.hasText {
		text := m.text
		if r := []rune(text); len(r) > maxText {
			text = string(r[:maxText-1]) + "…"
		}
		o.Set("text", text)
	}
	attachments := append([]any{}, m.attachments...)
	if len(links) > 0 {
		attachments = append(attachments, linkAttachment(links))
	}
	if len(attachments) > 0 {
		o.Set("attachments", attachments)
	}
	return o
}

// linkAttachment is one line of links below the message.
func linkAttachment(links []alert.Link) *document.Object {
	var parts, plain []string
	for _, l := range links {
		text := l.Text
		if text == "" {
			text = l.Href
		}
		parts = append(parts, "<"+escape(l.Href)+"|"+escape(text)+">")
		plain = append(plain, text+": "+l.Href)
	}
	return document.NewObject(
		document.Pair{Key: "fallback", Value: strings.Join(plain, " ")},
		document.Pair{Key: "text", Value: strings.Join(parts, " · ")},
		document.Pair{Key: "mrkdwn_in", Value: []any{"text"}},
	)
}

// escape keeps text from ending a link.
// https://api.slack.com/reference/surfaces/formatting#escaping
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "¦").Replace(s)
}

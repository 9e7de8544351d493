package slack

import (
	"context"
	"fmt"

	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/mustache"
)

// attachment is a message attachment of Slack, as templates.
// https://api.slack.com/reference/messaging/attachments#legacy_fields
type attachment struct {
	texts   map[string]*mustache.Template
	fields  []field
	markOn  []*mustache.Template // mrkdwn_in
	hasMark bool
	actions []map[string]*mustache.Template
	listed  map[string]bool // of fields: there, though it may be empty
}

type field struct {
	title, value *mustache.Template
	short        any // bool, or a template that renders to one
	shortText    *mustache.Template
}

// order is how Elastic writes an attachment. What belongs to an author or a
// title is left out without it.
//
//nolint:gochecknoglobals // a table that is only read
var order = []struct{ key, needs string }{
	{"fallback", ""}, {"color", ""}, {"pretext", ""},
	{"author_name", ""}, {"author_link", "author_name"}, {"author_icon", "author_name"},
	{"title", ""}, {"title_link", "title"}, {"text", ""},
	{"fields", ""}, {"image_url", ""}, {"thumb_url", ""}, {"mrkdwn_in", ""}, {"actions", ""},
}

func parseAttachment(path string, v any) (attachment, error) {
	in := fields.Read(path, "could not parse message attachment", v)
	a := attachment{texts: map[string]*mustache.Template{}, listed: map[string]bool{}}
	for _, o := range order {
		switch o.key {
		case "fields":
			parseList(in, "fields", func(path string, v any) error {
				f, err := parseField(path, v)
				a.fields = append(a.fields, f)
				return err
			})
			a.listed["fields"] = in.Has("fields")
		case "mrkdwn_in":
			a.markOn, a.hasMark = in.Templates("mrkdwn_in")
		case "actions":
			parseList(in, "actions", func(path string, v any) error {
				action, err := parseButton(path, v)
				a.actions = append(a.actions, action)
				return err
			})
		default:
			if t := in.Template(o.key); t != nil {
				a.texts[o.key] = t
			}
		}
	}
	return a, in.Done()
}

// parseList goes through a list; an object that stands alone is a list of one.
func parseList(in *fields.Reader, key string, each func(path string, v any) error) {
	v, ok := in.Value(key)
	if !ok {
		return
	}
	if list, ok := v.([]any); ok {
		for i, v := range list {
			in.Keep(each(document.Index(in.Path(key), i), v))
		}
		return
	}
	in.Keep(each(in.Path(key), v))
}

func parseField(path string, v any) (field, error) {
	in := fields.Read(path, "could not parse message attachment field", v)
	f := field{title: in.Template("title"), value: in.Template("value")}
	short, ok := in.Value("short")
	switch short := short.(type) {
	case bool:
		f.short = short
	case string:
		f.shortText = in.Template("short")
	default:
		if ok {
			in.Fail("short", "expected a boolean value for [short], but found %s", document.Kind(short))
		}
	}
	for _, key := range []string{"title", "value"} {
		if !in.Has(key) {
			in.Fail(key, "missing required [%s] field", key)
		}
	}
	return f, in.Done()
}

//nolint:gochecknoglobals // a table that is only read
var buttonKeys = []string{"url", "type", "text", "name", "style"}

func parseButton(path string, v any) (map[string]*mustache.Template, error) {
	in := fields.Read(path, "could not parse message attachment action", v)
	b := map[string]*mustache.Template{}
	for _, key := range buttonKeys {
		if t := in.Template(key); t != nil {
			b[key] = t
		}
	}
	return b, in.Done()
}

// render makes the attachment that is sent. defaults are those of the account.
func (a attachment) render(ctx context.Context, r mustache.Renderer, model *document.Object) (*document.Object, error) {
	o := document.NewObject()
	for _, entry := range order {
		if entry.needs != "" && a.texts[entry.needs] == nil {
			continue
		}
		var v any
		var err error
		switch entry.key {
		case "fields":
			v, err = a.renderFields(ctx, r, model)
		case "mrkdwn_in":
			if a.hasMark {
				v, err = renderList(ctx, r, a.markOn, model)
			}
		case "actions":
			v, err = a.renderActions(ctx, r, model)
		default:
			if t := a.texts[entry.key]; t != nil {
				v, err = r.Render(ctx, t, model)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("render attachment's %s: %w", entry.key, err)
		}
		if v != nil {
			o.Set(entry.key, v)
		}
	}
	return o, nil
}

func renderList(ctx context.Context, r mustache.Renderer, templates []*mustache.Template, model *document.Object) (any, error) {
	list := []any{}
	for _, t := range templates {
		text, err := r.Render(ctx, t, model)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

func (a attachment) renderFields(ctx context.Context, r mustache.Renderer, model *document.Object) (any, error) {
	if !a.listed["fields"] {
		return nil, nil
	}
	list := []any{}
	for _, f := range a.fields {
		title, err := r.Render(ctx, f.title, model)
		if err != nil {
			return nil, err
		}
		value, err := r.Render(ctx, f.value, model)
		if err != nil {
			return nil, err
		}
		o := document.NewObject(document.Pair{Key: "title", Value: title}, document.Pair{Key: "value", Value: value})
		short := f.short
		if f.shortText != nil {
			text, err := r.Render(ctx, f.shortText, model)
			if err != nil {
				return nil, err
			}
			short = text == "true"
		}
		if short == nil {
			short = false
		}
		list = append(list, o.Set("short", short))
	}
	return list, nil
}

func (a attachment) renderActions(ctx context.Context, r mustache.Renderer, model *document.Object) (any, error) {
	if len(a.actions) == 0 {
		return nil, nil
	}
	list := []any{}
	for _, b := range a.actions {
		o := document.NewObject()
		for _, key := range buttonKeys {
			if t := b[key]; t != nil {
				text, err := r.Render(ctx, t, model)
				if err != nil {
					return nil, err
				}
				o.Set(key, text)
			}
		}
		list = append(list, o)
	}
	return list, nil
}

// value is the attachment as Elastic's GET shows it.
func (a attachment) value() *document.Object {
	o := document.NewObject()
	for _, entry := range order {
		if entry.needs != "" && a.texts[entry.needs] == nil {
			continue
		}
		switch entry.key {
		case "fields":
			if a.listed["fields"] {
				o.Set("fields", a.fieldValues())
			}
		case "mrkdwn_in":
			if a.hasMark {
				o.Set("mrkdwn_in", values(a.markOn))
			}
		case "actions":
			list := []any{}
			for _, b := range a.actions {
				button := document.NewObject()
				for _, key := range buttonKeys {
					if t := b[key]; t != nil {
						button.Set(key, t.Value())
					}
				}
				list = append(list, button)
			}
			if len(list) > 0 {
				o.Set("actions", list)
			}
		default:
			if t := a.texts[entry.key]; t != nil {
				o.Set(entry.key, t.Value())
			}
		}
	}
	return o
}

func (a attachment) fieldValues() []any {
	list := []any{}
	for _, f := range a.fields {
		o := document.NewObject(document.Pair{Key: "title", Value: f.title.Value()}, document.Pair{Key: "value", Value: f.value.Value()})
		switch {
		case f.shortText != nil:
			o.Set("short", f.shortText.Value())
		case f.short != nil:
			o.Set("short", f.short)
		}
		list = append(list, o)
	}
	return list
}

func values(templates []*mustache.Template) []any {
	list := []any{}
	for _, t := range templates {
		list = append(list, t.Value())
	}
	return list
}

package email

import (
	"context"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/httpcall"
)

// attachment is one of attachments: the context's data, or what a request
// answers.
type attachment struct {
	id          string
	format      string // of data: yaml or json
	request     *httpcall.Request
	inline      *bool
	contentType string
}

// parseAttachData reads attach_data: true, false, or a format.
func (a *action) parseAttachData(in *fields.Reader) {
	v, ok := in.Value("attach_data")
	if !ok {
		return
	}
	switch v := v.(type) {
	case nil:
	case bool:
		if v {
			a.attachData = "yaml"
		}
	case *document.Object:
		format, err := parseFormat(in.Path("attach_data"), v)
		in.Keep(err)
		a.attachData = format
	default:
		in.Fail("attach_data", "could not parse data attachment. expected either a boolean value or an object but found [%s] instead", document.Kind(v))
	}
}

func parseFormat(path string, v any) (string, error) {
	in := fields.Read(path, "could not parse data attachment", v)
	format, ok := in.String("format")
	if !ok {
		format = "yaml"
	}
	if format != "yaml" && format != "json" {
		in.Fail("format", "unknown data attachment format [%s]", format)
	}
	return format, in.Done()
}

func (a *action) parseAttachments(in *fields.Reader) {
	v, ok := in.Value("attachments")
	if !ok {
		return
	}
	object, ok := v.(*document.Object)
	if !ok {
		in.Fail("attachments", "expected [attachments] to be an object, but found %s", document.Kind(v))
		return
	}
	for id, v := range object.All() {
		one, err := parseAttachment(document.Join(in.Path("attachments"), id), id, v)
		in.Keep(err)
		a.attachments = append(a.attachments, one)
	}
}

func parseAttachment(path, id string, v any) (attachment, error) {
	in := fields.Read(path, "Cannot parse attachment", v)
	one := attachment{id: id}
	if data, ok := in.Value("data"); ok {
		format, err := parseFormat(in.Path("data"), data)
		in.Keep(err)
		one.format = format
	}
	if v, ok := in.Value("http"); ok {
		inner := fields.Read(in.Path("http"), "Cannot parse attachment", v)
		if inline, ok := inner.Bool("inline"); ok {
			one.inline = &inline
		}
		one.contentType, _ = inner.String("content_type")
		if request, ok := inner.Value("request"); ok {
			r, err := httpcall.Parse(inner.Path("request"), request)
			inner.Keep(err)
			one.request = r
		} else {
			inner.Fail("request", "missing required [request] field")
		}
		in.Keep(inner.Done())
	}
	if in.Has("reporting") {
		in.Value("reporting")
		in.Fail("reporting", "attachments of type [reporting] are not supported: Kibana's reports need a licence")
	}
	if err := in.Done(); err != nil {
		return one, err
	}
	if (one.format == "") == (one.request == nil) {
		return one, document.Errorf(path, "Cannot parse attachment of type for id [%s]: expected one of data, http", id)
	}
	return one, nil
}

func (one attachment) value() *document.Object {
	if one.format != "" {
		return document.NewObject(document.Pair{Key: "data", Value: document.NewObject(document.Pair{Key: "format", Value: one.format})})
	}
	o := document.NewObject(document.Pair{Key: "request", Value: one.request.Value()})
	if one.contentType != "" {
		o.Set("content_type", one.contentType)
	}
	if one.inline != nil {
		o.Set("inline", *one.inline)
	}
	return document.NewObject(document.Pair{Key: "http", Value: o})
}

// file is an attachment, made.
type file struct {
	name, contentType string
	inline            bool
	content           []byte
}

func (a *action) files(ctx context.Context, run watcher.Run) ([]file, error) {
	var files []file
	if a.attachData != "" {
		f, err := data("data", a.attachData, run.Model)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	for _, one := range a.attachments {
		var f file
		var err error
		if one.format != "" {
			f, err = data(one.id, one.format, run.Model)
		} else {
			f, err = a.fetch(ctx, run, one)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func data(name, format string, model *document.Object) (file, error) {
	text, err := document.Marshal(model)
	if err != nil {
		return file{}, fmt.Errorf("write attachment %s: %w", name, err)
	}
	if format == "json" {
		return file{name: name, contentType: "application/json", content: text}, nil
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil { // JSON is YAML; the order stays
		return file{}, fmt.Errorf("write attachment %s: %w", name, err)
	}
	plain(&node)
	text, err = yaml.Marshal(&node)
	if err != nil {
		return file{}, fmt.Errorf("write attachment %s: %w", name, err)
	}
	return file{name: name, contentType: "application/yaml", content: append([]byte("---\n"), text...)}, nil
}

// plain takes JSON's braces and quotes off YAML.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}

func (a *action) fetch(ctx context.Context, run watcher.Run, one attachment) (file, error) {
	fail := func(err error) (file, error) {
		return file{}, fmt.Errorf("watch [%s] attachment [%s]: %w", run.WatchID, one.id, err)
	}
	call, err := one.request.Render(ctx, a.deps.Renderer, run.Model)
	if err != nil {
		return fail(err)
	}
	if run.Simulate {
		return file{name: one.id}, nil
	}
	response, err := a.deps.HTTP.Do(ctx, call)
	if err != nil {
		return fail(err)
	}
	switch {
	case response.Status < http.StatusOK || response.Status >= http.StatusMultipleChoices:
		return fail(fmt.Errorf("HTTP error status host[%s], port[%d], method[%s], path[%s], status[%d]", call.Host, call.Port, call.Method, call.Path, response.Status))
	case len(response.Body) == 0:
		return fail(fmt.Errorf("empty response body host[%s], port[%d], method[%s], path[%s], status[%d]", call.Host, call.Port, call.Method, call.Path, response.Status))
	}
	contentType := one.contentType
	if contentType == "" {
		contentType = response.Header.Get("Content-Type")
	}
	return file{name: one.id, contentType: contentType, inline: one.inline != nil && *one.inline, content: response.Body}, nil
}

package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"

	"pharos/watcher/document"
	"pharos/watcher/httpcall"
)

// httpInput loads what an HTTP server answers, whatever the status.
type httpInput struct {
	request *httpcall.Request
	format  string // json, yaml or text; empty: as the answer says
	extract []string
}

func (p *parser) httpInput(path string, o *document.Object) (input, error) {
	about := subject("could not parse [http] input for watch [" + p.id + "]. ")
	in := &httpInput{}
	for key, v := range o.All() {
		at := document.Join(path, key)
		var err error
		switch key {
		case "request":
			if in.request, err = httpcall.Parse(at, v); err != nil {
				var place *document.PathError
				if errors.As(err, &place) {
					cause := document.NewError(http.StatusBadRequest, "parse_exception", place.Reason)
					err = &document.PathError{Path: place.Path, Reason: string(about) + "failed to parse http request template", Err: cause}
				}
			}
		case "extract":
			in.extract, err = keyList(at, about, v)
		case "response_content_type":
			text, _ := v.(string)
			if in.format = strings.ToLower(text); in.format != "json" && in.format != "yaml" && in.format != "text" {
				err = &document.PathError{Path: at, Err: document.NewError(http.StatusBadRequest, "illegal_argument_exception", "unknown http content type ["+document.String(v)+"]")}
			}
		default:
			err = about.at(at, "unexpected field [%s]", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if in.request == nil {
		return nil, about.at(path, "missing require [request] field")
	}
	if in.format == "text" && in.extract != nil {
		return nil, about.at(document.Join(path, "extract"), "key extraction is not supported for content type [text]")
	}
	return in, nil
}

func (i *httpInput) kind() string { return "http" }

func (i *httpInput) value() any {
	o := document.NewObject(document.Pair{Key: "request", Value: i.request.Value()})
	if i.format != "" {
		o.Set("response_content_type", i.format)
	}
	if i.extract != nil {
		o.Set("extract", anyList(i.extract))
	}
	return o
}

func (i *httpInput) secrets() []string {
	var paths []string
	for _, path := range i.request.SecretPaths() {
		paths = append(paths, document.Join("request", path))
	}
	return paths
}

func (i *httpInput) load(ctx context.Context, x *execution, payload *document.Object) inputResult {
	failed := func(err error, detail *document.Object) inputResult {
		return inputResult{kind: "http", err: err, detail: detail}
	}
	call, err := i.request.Render(ctx, x.engine.renderer, x.model(payload))
	if err != nil {
		return failed(err, nil)
	}
	detail := document.NewObject(document.Pair{Key: "request", Value: call.Record()})
	response, err := x.engine.http.Do(ctx, call)
	if err != nil {
		return failed(err, detail)
	}
	loaded, err := i.payload(response)
	if err != nil {
		return failed(err, detail)
	}
	if headers := response.Headers(); headers.Len() > 0 {
		loaded.Set("_headers", headers)
	}
	loaded.Set("_status_code", int64(response.Status))
	detail.Set("status_code", int64(response.Status))
	return inputResult{kind: "http", payload: loaded, detail: detail}
}

// payload reads a response: JSON and YAML as they are, a list under data, and
// text under _value.
func (i *httpInput) payload(r *httpcall.Response) (*document.Object, error) {
	if len(r.Body) == 0 {
		return document.NewObject(), nil
	}
	format := i.format
	if format == "" {
		format = formatOf(r)
	}
	var v any
	var err error
	switch format {
	case "json":
		v, err = document.Parse(r.Body)
	case "yaml":
		v, err = parseYAML(r.Body)
	default:
		return document.NewObject(document.Pair{Key: "_value", Value: strings.ToValidUTF8(string(r.Body), "\ufffd")}), nil
	}
	if err != nil {
		return nil, document.NewError(http.StatusBadRequest, "parse_exception", "could not parse response body: it does not appear to be ["+format+"]: "+err.Error())
	}
	switch v := v.(type) {
	case *document.Object:
		if i.extract != nil {
			v = extract(v, i.extract)
		}
		return v, nil
	case []any:
		return document.NewObject(document.Pair{Key: "data", Value: v}), nil
	default:
		return document.NewObject(), nil
	}
}

// formatOf is what a response says that it is, or looks like.
func formatOf(r *httpcall.Response) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body := bytes.TrimSpace(r.Body)
	switch {
	case media == "application/json", strings.HasSuffix(media, "+json"):
		return "json"
	case strings.HasSuffix(media, "/yaml"), strings.HasSuffix(media, "/x-yaml"):
		return "yaml"
	case bytes.HasPrefix(body, []byte("{")):
		return "json"
	case bytes.HasPrefix(body, []byte("---")):
		return "yaml"
	}
	return "text"
}

// parseYAML reads one YAML document, with the order of its keys.
func parseYAML(data []byte) (any, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return document.NewObject(), nil
	}
	return yamlValue(root.Content[0], 0)
}

func yamlValue(n *yaml.Node, depth int) (any, error) {
	if depth > 100 {
		return nil, fmt.Errorf("nested deeper than 100")
	}
	switch n.Kind {
	case yaml.MappingNode:
		o := document.NewObject()
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := yamlValue(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			o.Set(n.Content[i].Value, v)
		}
		return o, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := yamlValue(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: aliases are not supported", n.Line)
	}
	if n.Tag == "!!timestamp" {
		return n.Value, nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case nil, string, bool, float64, int64:
		return v, nil
	default:
		return n.Value, nil
	}
}

package httpcall

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/document"
)

// Call is a request ready to be sent: a rendered Request, or one that a channel
// makes itself.
type Call struct {
	Scheme  string // http or https; empty means http
	Host    string
	Port    int
	Method  string // as Elastic shows it, in lower case; empty means get
	Path    string // may be escaped already, segment by segment
	Params  []Param
	Headers []Param
	Auth    *BasicAuth
	Body    *string // nil: none

	ConnectTimeout, ReadTimeout *time.Duration // nil: the client's
	Proxy                       *Proxy
}

// Param is a parameter of the query, or a header.
type Param struct{ Name, Value string }

// Render fills the templates with the model.
func (r *Request) Render(ctx context.Context, renderer Renderer, model *document.Object) (*Call, error) {
	c := &Call{
		Scheme: r.scheme, Host: r.host, Port: r.port, Method: r.method, Auth: r.auth,
		ConnectTimeout: r.connectTimeout, ReadTimeout: r.readTimeout, Proxy: r.proxy,
	}
	var err error
	if r.path != nil {
		if c.Path, err = renderer.Render(ctx, r.path, model); err != nil {
			return nil, fmt.Errorf("render path: %w", err)
		}
	}
	if c.Params, err = renderAll(ctx, renderer, r.params, model); err != nil {
		return nil, fmt.Errorf("render params: %w", err)
	}
	if c.Headers, err = renderAll(ctx, renderer, r.headers, model); err != nil {
		return nil, fmt.Errorf("render headers: %w", err)
	}
	if r.body != nil {
		body, err := renderer.Render(ctx, r.body, model)
		if err != nil {
			return nil, fmt.Errorf("render body: %w", err)
		}
		c.Body = &body
	}
	return c, nil
}

func renderAll(ctx context.Context, renderer Renderer, list []entry, model *document.Object) ([]Param, error) {
	var out []Param
	for _, e := range list {
		value, err := renderer.Render(ctx, e.value, model)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		out = append(out, Param{e.name, value})
	}
	return out, nil
}

// Record is the call as Elastic's records show it; passwords and Authorization
// headers are hidden.
func (c *Call) Record() *document.Object {
	o := document.NewObject(
		document.Pair{Key: "host", Value: c.Host},
		document.Pair{Key: "port", Value: int64(c.Port)},
		document.Pair{Key: "scheme", Value: c.scheme()},
		document.Pair{Key: "method", Value: c.method()},
	)
	if c.Path != "" {
		o.Set("path", c.Path)
	}
	if len(c.Params) > 0 {
		params := document.NewObject()
		for _, p := range c.Params {
			params.Set(p.Name, p.Value)
		}
		o.Set("params", params)
	}
	if len(c.Headers) > 0 {
		headers := document.NewObject()
		for _, h := range c.Headers {
			if secretHeader(h.Name) {
				h.Value = Redacted
			}
			headers.Set(h.Name, h.Value)
		}
		o.Set("headers", headers)
	}
	setAuth(o, c.Auth, true)
	if c.Body != nil {
		o.Set("body", *c.Body)
	}
	setRest(o, c.ConnectTimeout, c.ReadTimeout, c.Proxy)
	return o
}

func (c *Call) scheme() string {
	if c.Scheme == "" {
		return "http"
	}
	return c.Scheme
}

func (c *Call) method() string {
	if c.Method == "" {
		return "get"
	}
	return strings.ToLower(c.Method)
}

// authority is host:port, with brackets around an IPv6 address.
func (c *Call) authority() string {
	host := strings.TrimSuffix(strings.TrimPrefix(c.Host, "["), "]")
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// url escapes the path segment by segment, so that a path that is escaped
// already (%3Clogs-%7Bnow%2Fd%7D%3E) arrives as it was meant.
func (c *Call) url() (*url.URL, error) {
	var plain, escaped strings.Builder
	for segment := range strings.SplitSeq(c.Path, "/") {
		if segment == "" {
			continue
		}
		text, err := url.QueryUnescape(segment) // + is a space, as for Java's URLDecoder
		if err != nil {
			return nil, fmt.Errorf("path [%s]: %w", c.Path, err)
		}
		plain.WriteString("/" + text)
		escaped.WriteString("/" + url.PathEscape(text))
	}
	if strings.HasSuffix(c.Path, "/") && plain.Len() > 0 {
		plain.WriteByte('/')
		escaped.WriteByte('/')
	}
	var query strings.Builder
	for i, p := range c.Params {
		if i > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return &url.URL{
		Scheme: c.scheme(), Host: c.authority(),
		Path: plain.String(), RawPath: escaped.String(), RawQuery: query.String(),
	}, nil
}

func (c *Call) request(ctx context.Context) (*http.Request, error) {
	u, err := c.url()
	if err != nil {
		return nil, err
	}
	var body string
	if c.Body != nil {
		body = *c.Body
	}
	method := strings.ToUpper(c.method())
	if method == http.MethodHead {
		body = ""
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body == "" {
		req.Body, req.GetBody = http.NoBody, nil
	}
	req.Header.Set("Accept-Charset", "UTF-8")
	if body != "" {
		req.Header.Set("Content-Type", contentType(body))
	}
	for _, h := range c.Headers {
		req.Header.Set(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		}
	}
	if c.Auth != nil {
		var password string
		if c.Auth.Password != nil {
			password = *c.Auth.Password
		}
		req.SetBasicAuth(c.Auth.Username, password)
	}
	return req, nil
}

// contentType is what Elastic's client sends where the request names none.
func contentType(body string) string {
	switch text := strings.TrimLeft(body, " \t\r\n"); {
	case strings.HasPrefix(text, "{"):
		return "application/json"
	case strings.HasPrefix(text, "---"):
		return "application/yaml"
	default:
		return "text/plain; charset=UTF-8"
	}
}

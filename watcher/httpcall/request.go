// Package httpcall holds Elastic's HTTP request template, which the http input
// and the webhook action share, and the client that sends it and guards what it
// may reach.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-webhook.html
package httpcall

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/mustache"
)

// Request is a request template, parsed and checked.
type Request struct {
	scheme  string // http or https
	host    string
	port    int
	method  string // lower case, as Elastic shows it
	path    *mustache.Template
	params  []entry
	headers []entry
	auth    *BasicAuth
	body    *mustache.Template

	connectTimeout, readTimeout *time.Duration
	proxy                       *Proxy
}

type entry struct {
	name  string
	value *mustache.Template
}

// BasicAuth is a user and password. A watch read back from the API may lack the
// password.
type BasicAuth struct {
	Username string
	Password *string
}

// Renderer renders templates; mustache.Renderer is one.
type Renderer interface {
	Render(ctx context.Context, t *mustache.Template, model *document.Object) (string, error)
}

const about = "could not parse http request template"

// Parse reads a request template. Errors are document.PathErrors below path.
func Parse(path string, v any) (*Request, error) {
	in := fields.Read(path, about, v)
	r := &Request{scheme: "http", method: "get"}
	if raw, ok := in.String("url"); ok {
		r.fromURL(in, raw)
	}
	if scheme, ok := in.String("scheme"); ok {
		r.setScheme(in, "scheme", scheme)
	}
	if method, ok := in.String("method"); ok {
		r.method = strings.ToLower(method)
		switch r.method {
		case "head", "get", "post", "put", "delete":
		default:
			in.Fail("method", "unsupported http method [%s]", method)
		}
	}
	if host, ok := in.String("host"); ok {
		r.host = host
	}
	if port, ok := in.Int("port"); ok {
		r.port = 0
		if port > 0 && port < 1<<16 {
			r.port = int(port)
		}
	}
	if t := in.Template("path"); t != nil {
		r.path = t
	}
	r.params = append(r.params, entries(in, "params")...)
	r.headers = entries(in, "headers")
	r.auth = parseAuth(in)
	r.body = in.Template("body")
	r.connectTimeout = duration(in, "connection_timeout", "connection_timeout_in_millis")
	r.readTimeout = duration(in, "read_timeout", "read_timeout_millis")
	if v, ok := in.Value("proxy"); ok {
		proxy, err := ParseProxy(in.Path("proxy"), v)
		in.Keep(err)
		r.proxy = proxy
	}
	if err := in.Done(); err != nil {
		return nil, err
	}
	switch {
	case r.host == "":
		return nil, document.Errorf(path, about+". missing required [host] string field")
	case strings.ContainsAny(r.host, "/?#@\\ \t\r\n"):
		return nil, document.Errorf(document.Join(path, "host"), about+". [%s] is not a host", r.host)
	case r.port == 0:
		return nil, document.Errorf(document.Join(path, "port"), about+". wrong port for [port]")
	}
	return r, nil
}

func (r *Request) setScheme(in *fields.Reader, key, scheme string) {
	r.scheme = strings.ToLower(scheme)
	if r.scheme != "http" && r.scheme != "https" {
		in.Fail(key, "unsupported http scheme [%s]", scheme)
	}
}

// fromURL takes scheme, host, port, path and query from a URL. What Java's URI
// refuses, templates among it, is refused here, too.
func (r *Request) fromURL(in *fields.Reader, raw string) {
	if raw == "" {
		in.Fail("url", "Configured URL is empty, please configure a valid URL")
		return
	}
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsAny(raw, "{}|\\^`\"<> ") {
		in.Fail("url", "Malformed URL [%s]", raw)
		return
	}
	if u.Scheme == "" {
		in.Fail("url", "URL [%s] does not contain a scheme", raw)
		return
	}
	r.setScheme(in, "url", u.Scheme)
	if u.User != nil {
		in.Fail("url", "put the user and password of a URL into [auth.basic]")
		return
	}
	r.host = u.Hostname()
	r.port, _ = strconv.Atoi(u.Port()) // url.Parse has checked the digits
	if u.Port() == "" {
		r.port = map[string]int{"http": 80, "https": 443}[r.scheme]
	}
	if u.Path != "" {
		r.path = template(in, "url", u.Path)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			continue
		}
		plainName, err1 := url.QueryUnescape(name)
		plainValue, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			in.Fail("url", "Malformed URL [%s]", raw)
			return
		}
		r.params = append(r.params, entry{plainName, template(in, "url", plainValue)})
	}
}

func template(in *fields.Reader, key, source string) *mustache.Template {
	t, err := mustache.ParseTemplate(in.Path(key), source)
	in.Keep(err)
	return t
}

func entries(in *fields.Reader, key string) []entry {
	v, ok := in.Value(key)
	if !ok {
		return nil
	}
	object, ok := v.(*document.Object)
	if !ok {
		in.Fail(key, "expected [%s] to be an object, but found %s", key, document.Kind(v))
		return nil
	}
	var list []entry
	for name, value := range object.All() {
		switch value.(type) {
		case int64, float64, bool: // a header or parameter is text in the end
			value = document.String(value)
		}
		t, err := mustache.ParseTemplate(document.Join(in.Path(key), name), value)
		in.Keep(err)
		list = append(list, entry{name, t})
	}
	return list
}

func parseAuth(in *fields.Reader) *BasicAuth {
	v, ok := in.Value("auth")
	if !ok {
		return nil
	}
	outer := fields.Read(in.Path("auth"), about, v)
	inner, ok := outer.Value("basic")
	if !ok {
		outer.Fail("basic", "missing required [basic] field")
	}
	in.Keep(outer.Done())
	if !ok {
		return nil
	}
	basic := fields.Read(outer.Path("basic"), about, inner)
	user, ok := basic.String("username")
	if !ok {
		basic.Fail("username", "username is a required option")
	}
	auth := &BasicAuth{Username: user}
	if password, ok := basic.String("password"); ok {
		auth.Password = &password
	}
	in.Keep(basic.Done())
	return auth
}

func duration(in *fields.Reader, key, inMillis string) *time.Duration {
	d, ok := in.Duration(key, inMillis)
	if !ok {
		return nil
	}
	return &d
}

// Value is the template as Elastic's GET shows it, secrets as they are.
func (r *Request) Value() *document.Object {
	o := document.NewObject(
		document.Pair{Key: "scheme", Value: r.scheme},
		document.Pair{Key: "host", Value: r.host},
		document.Pair{Key: "port", Value: int64(r.port)},
		document.Pair{Key: "method", Value: r.method},
	)
	if r.path != nil {
		o.Set("path", r.path.Value())
	}
	for _, list := range []struct {
		key     string
		entries []entry
	}{{"params", r.params}, {"headers", r.headers}} {
		object := document.NewObject()
		for _, e := range list.entries {
			object.Set(e.name, e.value.Value())
		}
		o.Set(list.key, object)
	}
	setAuth(o, r.auth, false)
	if r.body != nil {
		o.Set("body", r.body.Value())
	}
	setRest(o, r.connectTimeout, r.readTimeout, r.proxy)
	return o
}

// Redacted stands where a record or an answer hides a secret.
const Redacted = "::es_redacted::"

func setAuth(o *document.Object, auth *BasicAuth, redact bool) {
	if auth == nil {
		return
	}
	basic := document.NewObject(document.Pair{Key: "username", Value: auth.Username})
	switch {
	case auth.Password == nil:
	case redact:
		basic.Set("password", Redacted)
	default:
		basic.Set("password", *auth.Password)
	}
	o.Set("auth", document.NewObject(document.Pair{Key: "basic", Value: basic}))
}

func setRest(o *document.Object, connect, read *time.Duration, proxy *Proxy) {
	if connect != nil {
		o.Set("connection_timeout_in_millis", connect.Milliseconds())
	}
	if read != nil {
		o.Set("read_timeout_millis", read.Milliseconds())
	}
	if proxy != nil {
		o.Set("proxy", proxy.Value())
	}
}

// SecretPaths are the places in Value that are secrets: the password, and an
// Authorization header, which Elastic hides in records only.
func (r *Request) SecretPaths() []string {
	var paths []string
	if r.auth != nil && r.auth.Password != nil {
		paths = append(paths, "auth.basic.password")
	}
	for _, h := range r.headers {
		if secretHeader(h.name) {
			paths = append(paths, document.Join("headers", h.name))
		}
	}
	return paths
}

func secretHeader(name string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Proxy-Authorization")
}

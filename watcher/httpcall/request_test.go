package httpcall_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
)

// verbatim renders a template as its source.
type verbatim struct{}

func (verbatim) Render(_ context.Context, t *mustache.Template, _ *document.Object) (string, error) {
	return document.String(t.Value()), nil
}

func parse(t *testing.T, text string) *httpcall.Request {
	t.Helper()
	v, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := httpcall.Parse("input.http.request", v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestValue(t *testing.T) {
	for name, c := range map[string]struct{ in, value, record string }{
		"host and port": {
			`{"host":"h","port":9200,"path":"/_x"}`,
			`{"scheme":"http","host":"h","port":9200,"method":"get","path":"/_x","params":{},"headers":{}}`,
			`{"host":"h","port":9200,"scheme":"http","method":"get","path":"/_x"}`,
		},
		"url": {
			`{"method":"POST","url":"https://h.example:8443/a/b?x=1&y=a+b"}`,
			`{"scheme":"https","host":"h.example","port":8443,"method":"post","path":"/a/b","params":{"x":"1","y":"a b"},"headers":{}}`,
			`{"host":"h.example","port":8443,"scheme":"https","method":"post","path":"/a/b","params":{"x":"1","y":"a b"}}`,
		},
		"a url's own port": {
			`{"url":"https://h"}`,
			`{"scheme":"https","host":"h","port":443,"method":"get","params":{},"headers":{}}`,
			`{"host":"h","port":443,"scheme":"https","method":"get"}`,
		},
		"everything": {
			`{"host":"h","port":1,"method":"put","params":{"n":5},"headers":{"authorization":"Bearer t","X":"y"},"auth":{"basic":{"username":"u","password":"p"}},
			  "body":"{}","connection_timeout":"3s","read_timeout_millis":500,"proxy":{"host":"p","port":3128}}`,
			`{"scheme":"http","host":"h","port":1,"method":"put","params":{"n":"5"},"headers":{"authorization":"Bearer t","X":"y"},` +
				`"auth":{"basic":{"username":"u","password":"p"}},"body":"{}","connection_timeout_in_millis":3000,"read_timeout_millis":500,"proxy":{"host":"p","port":3128}}`,
			`{"host":"h","port":1,"scheme":"http","method":"put","params":{"n":"5"},"headers":{"authorization":"::es_redacted::","X":"y"},` +
				`"auth":{"basic":{"username":"u","password":"::es_redacted::"}},"body":"{}","connection_timeout_in_millis":3000,"read_timeout_millis":500,"proxy":{"host":"p","port":3128}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := parse(t, c.in)
			if got, _ := r.Value().MarshalJSON(); string(got) != c.value {
				t.Errorf("value\ngot  %s\nwant %s", got, c.value)
			}
			call, err := r.Render(t.Context(), verbatim{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := call.Record().MarshalJSON(); string(got) != c.record {
				t.Errorf("record\ngot  %s\nwant %s", got, c.record)
			}
			again := parse(t, c.value)
			if got, _ := again.Value().MarshalJSON(); string(got) != c.value {
				t.Errorf("read back\ngot  %s\nwant %s", got, c.value)
			}
		})
	}
	r := parse(t, `{"host":"h","port":1,"headers":{"authorization":"x"},"auth":{"basic":{"username":"u","password":"p"}}}`)
	if want := []string{"auth.basic.password", "headers.authorization"}; !slices.Equal(r.SecretPaths(), want) {
		t.Errorf("secrets %v, want %v", r.SecretPaths(), want)
	}
}

func TestRequestRefused(t *testing.T) {
	for in, want := range map[string]string{
		`[]`:                                         `could not parse http request template. expected an object, but found an array (at r)`,
		`{"port":1}`:                                 `could not parse http request template. missing required [host] string field (at r)`,
		`{"host":"h"}`:                               `could not parse http request template. wrong port for [port] (at r.port)`,
		`{"host":"h","port":70000}`:                  `could not parse http request template. wrong port for [port] (at r.port)`,
		`{"host":"h/x","port":1}`:                    `could not parse http request template. [h/x] is not a host (at r.host)`,
		`{"host":"h","port":1,"x":"y"}`:              `could not parse http request template. unexpected string field [x] (at r.x)`,
		`{"host":"h","port":1,"x":1}`:                `could not parse http request template. unexpected numeric field [x] (at r.x)`,
		`{"host":"h","port":1,"x":{}}`:               `could not parse http request template. unexpected object field [x] (at r.x)`,
		`{"host":"h","port":1,"x":true}`:             `could not parse http request template. unexpected field [x], which holds a boolean (at r.x)`,
		`{"url":""}`:                                 `could not parse http request template. Configured URL is empty, please configure a valid URL (at r.url)`,
		`{"url":"h/x"}`:                              `could not parse http request template. URL [h/x] does not contain a scheme (at r.url)`,
		`{"url":"ftp://h/x"}`:                        `could not parse http request template. unsupported http scheme [ftp] (at r.url)`,
		`{"url":"http://{{ctx.x}}/"}`:                `could not parse http request template. Malformed URL [http://{{ctx.x}}/] (at r.url)`,
		`{"host":"h","port":1,"method":"patch"}`:     `could not parse http request template. unsupported http method [patch] (at r.method)`,
		`{"host":"h","port":1,"auth":{"digest":{}}}`: `could not parse http request template. missing required [basic] field (at r.auth.basic)`,
		`{"host":"h","port":1,"auth":{"basic":{"password":"p"}}}`:                      `could not parse http request template. username is a required option (at r.auth.basic.username)`,
		`{"host":"h","port":1,"read_timeout":"soon"}`:                                  `could not parse http request template. invalid time value for [read_timeout] field: [soon] is not a number with a unit (nanos, micros, ms, s, m, h, d) (at r.read_timeout)`,
		`{"host":"h","port":1,"connection_timeout":5}`:                                 `could not parse http request template. invalid time value for [connection_timeout] field: [5] is not a number with a unit (nanos, micros, ms, s, m, h, d) (at r.connection_timeout)`,
		`{"host":"h","port":1,"proxy":{"host":"p"}}`:                                   `Proxy must contain 'port' and 'host' field (at r.proxy)`,
		`{"host":"h","port":1,"proxy":{"host":"p","port":0}}`:                          `could not parse proxy. Proxy port must be between 1 and 65534, but was 0 (at r.proxy.port)`,
		`{"host":"h","port":1,"proxy":{"host":"p","port":1,"user":"u"}}`:               `could not parse proxy. unexpected string field [user] (at r.proxy.user)`,
		`{"host":"h","port":1,"headers":["a"]}`:                                        `could not parse http request template. expected [headers] to be an object, but found an array (at r.headers)`,
		`{"host":"h","port":1,"auth":{"basic":{"username":"u","password":"p","x":1}}}`: `could not parse http request template. unexpected numeric field [x] (at r.auth.basic.x)`,
	} {
		v, err := document.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		_, err = httpcall.Parse("r", v)
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"url":"https://h:1/a?b=c","auth":{"basic":{"username":"u"}},"proxy":{"host":"p","port":1},"read_timeout":"1s"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := document.Parse(data)
		if err != nil {
			return
		}
		r, err := httpcall.Parse("r", v)
		if err != nil {
			if !strings.Contains(err.Error(), "(at r") {
				t.Fatalf("%s: %v names no place", data, err)
			}
			return
		}
		if _, err := httpcall.Parse("r", r.Value()); err != nil {
			t.Fatalf("%s does not read back: %v", data, err)
		}
	})
}

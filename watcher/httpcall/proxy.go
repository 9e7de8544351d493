package httpcall

import (
	"strings"

	"pharos/watcher/document"
	"pharos/watcher/fields"
)

// Proxy is the HTTP proxy of one request; the slack and pagerduty actions have
// the same key.
type Proxy struct {
	Host   string
	Port   int
	Scheme string // http or https; empty means http and is not shown
}

// ParseProxy reads {"host", "port", "scheme"}.
func ParseProxy(path string, v any) (*Proxy, error) {
	in := fields.Read(path, "could not parse proxy", v)
	p := &Proxy{}
	var hasHost bool
	p.Host, hasHost = in.String("host")
	port, hasPort := in.Int("port")
	if hasPort && (port <= 0 || port >= 65535) {
		in.Fail("port", "Proxy port must be between 1 and 65534, but was %d", port)
	}
	p.Port = int(port)
	if scheme, ok := in.String("scheme"); ok {
		p.Scheme = strings.ToLower(scheme)
		if p.Scheme != "http" && p.Scheme != "https" {
			in.Fail("scheme", "unsupported http scheme [%s]", scheme)
		}
	}
	if err := in.Done(); err != nil {
		return nil, err
	}
	if !hasHost || !hasPort {
		return nil, document.Errorf(path, "Proxy must contain 'port' and 'host' field")
	}
	return p, nil
}

// Value is the proxy as Elastic shows it.
func (p *Proxy) Value() *document.Object {
	o := document.NewObject(
		document.Pair{Key: "host", Value: p.Host},
		document.Pair{Key: "port", Value: int64(p.Port)},
	)
	if p.Scheme != "" {
		o.Set("scheme", p.Scheme)
	}
	return o
}

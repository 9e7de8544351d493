package httpcall

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// guard keeps calls from what they must not reach (server-side request
// forgery).
type guard struct {
	allow   []string
	trusted bool
}

// check holds a URL against the allow-list. Behind a proxy no name is resolved
// here, so only addresses that stand in the URL itself are checked.
func (g guard) check(u *url.URL, proxied bool) error {
	if g.trusted {
		return nil
	}
	target := u.Scheme + "://" + withPort(u)
	if !matches(g.allow, target, false) {
		return fmt.Errorf("host [%s] is not allowed by the setting WATCHER_HTTP_ALLOW, will not connect", target)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); proxied && err == nil && forbidden(ip) && !matches(g.allow, target, true) {
		return refused(ip)
	}
	return nil
}

func withPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dialer connects to host:port. Unless it trusts all, addresses are checked
// after the name was resolved, so that a name can't stand for a forbidden one.
func (g guard) dialer(trusted bool) func(context.Context, string, string) (net.Conn, error) {
	const keepAlive = 30 * time.Second
	open := &net.Dialer{KeepAlive: keepAlive}
	guarded := &net.Dialer{KeepAlive: keepAlive, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("address [%s]: %w", address, err)
		}
		if forbidden(to.Addr()) {
			return refused(to.Addr())
		}
		return nil
	}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if trusted || matches(g.allow, "http://"+address, true) || matches(g.allow, "https://"+address, true) {
			return open.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

func refused(ip netip.Addr) error {
	return fmt.Errorf("address [%s] is loopback, link-local or cloud metadata and its host is not named in the setting WATCHER_HTTP_ALLOW, will not connect", ip)
}

// matches reports whether a pattern covers scheme://host:port. With named, only
// patterns that give a host of their own count.
func matches(patterns []string, target string, named bool) bool {
	for _, p := range patterns {
		if named && strings.Trim(hostOf(p), "*") == "" {
			continue
		}
		if glob(strings.ToLower(p), strings.ToLower(target)) {
			return true
		}
	}
	return false
}

// hostOf cuts scheme and port off a pattern: *://127.0.0.1:* has 127.0.0.1.
func hostOf(pattern string) string {
	if _, rest, ok := strings.Cut(pattern, "://"); ok {
		pattern = rest
	}
	if i := strings.LastIndexByte(pattern, ':'); i >= 0 {
		pattern = pattern[:i]
	}
	return pattern
}

// glob matches as Elasticsearch's simple patterns do: * is any text.
func glob(pattern, text string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for i := 0; i <= len(text); i++ {
		if glob(rest, text[i:]) || !strings.Contains(rest, "*") && strings.HasSuffix(text, rest) {
			return true
		}
	}
	return rest == ""
}

// forbidden reports whether an address must be named to be reached: this
// machine itself, its link, and the clouds' metadata services (AWS, Azure and
// Google answer at 169.254.169.254, AWS also at fd00:ec2::254, Alibaba at
// 100.100.100.200).
func forbidden(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast() ||
		ip == netip.AddrFrom4([4]byte{100, 100, 100, 200}) ||
		ip == netip.MustParseAddr("fd00:ec2::254")
}

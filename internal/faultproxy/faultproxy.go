// Package faultproxy puts a network that fails on command between a test and a
// real server: toxiproxy inside the test's own process.
package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Fault is a way in which the network fails. The zero Fault is none.
type Fault struct {
	Name string
	down bool
	// toxic is what toxiproxy does to what the server sends,
	// https://github.com/Shopify/toxiproxy#toxics
	toxic      string
	attributes map[string]int64
}

// Down refuses every connection.
func Down() Fault { return Fault{Name: "down", down: true} }

// Latency holds every answer back for so long.
func Latency(d time.Duration) Fault {
	return Fault{Name: "latency", toxic: "latency", attributes: map[string]int64{"latency": d.Milliseconds()}}
}

// Reset takes what the client sends, and answers with a TCP reset.
func Reset() Fault { return Fault{Name: "reset_peer", toxic: "reset_peer"} }

// Silence lets nothing through and keeps the connections open.
func Silence() Fault { return Fault{Name: "timeout", toxic: "timeout"} }

// Bandwidth lets so many kilobytes a second through.
func Bandwidth(rate int64) Fault {
	return Fault{Name: "bandwidth", toxic: "bandwidth", attributes: map[string]int64{"rate": rate}}
}

// Cut closes a connection after so many bytes of the server's.
func Cut(bytes int64) Fault {
	return Fault{Name: "limit_data", toxic: "limit_data", attributes: map[string]int64{"bytes": bytes}}
}

// All are the faults that no call gets through, or few.
func All() []Fault {
	return []Fault{Down(), Reset(), Silence(), Latency(time.Minute), Bandwidth(1), Cut(20)}
}

// Proxy passes connections on to a server. A new one does so faithfully.
type Proxy struct {
	// Addr is where it listens, on loopback.
	Addr  string
	proxy *toxiproxy.Proxy
	fault Fault
}

// New starts a proxy to the server at upstream, until the test's end.
func New(t testing.TB, upstream string) *Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics log past the server's logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, upstream, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &Proxy{Addr: p.Listen, proxy: p}
}

// Break makes the network fail, for the connections that are open, too.
func (p *Proxy) Break(t testing.TB, f Fault) {
	t.Helper()
	p.fault = f
	switch {
	case f.down:
		p.proxy.Stop()
	case f.toxic != "":
		text, err := json.Marshal(map[string]any{"name": f.Name, "type": f.toxic, "stream": "downstream", "attributes": f.attributes})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
			t.Fatalf("add toxic %s: %v", f.Name, err)
		}
	}
}

// Heal ends what Break began.
func (p *Proxy) Heal(t testing.TB) {
	t.Helper()
	switch {
	case p.fault.down:
		if err := p.proxy.Start(); err != nil {
			t.Fatal(err)
		}
	case p.fault.toxic != "":
		p.proxy.Toxics.ResetToxics(context.Background())
	}
	p.fault = Fault{}
}

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func options(dir string) Options {
	return Options{Dir: dir, Now: now, Servers: []Server{
		{"elasticsearch", []string{"elasticsearch", "localhost", "127.0.0.1"}},
		{"nginx", []string{"shop.example", "::1"}},
	}}
}

// whys makes the certificates and returns the reasons by name.
func whys(t *testing.T, o Options) map[string]string {
	t.Helper()
	all, err := Make(o)
	if err != nil {
		t.Fatal(err)
	}
	why := map[string]string{}
	for _, m := range all {
		why[m.Name] = m.Why
		if _, err := os.Stat(m.File); err != nil || m.String() == "" {
			t.Error(err)
		}
	}
	return why
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(text)
	}
	return found
}

func TestMakesWhatClientsOfTheAuthorityTrust(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	whys(t, options(dir))
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil || !pool.AppendCertsFromPEM(authority) {
		t.Fatalf("authority: %v", err)
	}
	for name, hosts := range map[string]struct{ good, bad []string }{
		"elasticsearch": {[]string{"elasticsearch", "localhost", "127.0.0.1"}, []string{"shop.example", "10.0.0.1"}},
		"nginx":         {[]string{"shop.example", "::1"}, []string{"localhost", "127.0.0.1"}},
	} {
		served, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		verify := func(host string) error {
			_, err := served.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: now})
			return err
		}
		for _, host := range hosts.good {
			if err := verify(host); err != nil {
				t.Errorf("%s as %s: %v", name, host, err)
			}
		}
		for _, host := range hosts.bad {
			if verify(host) == nil {
				t.Errorf("%s is believed to be %s", name, host)
			}
		}
		if got := served.Leaf.NotAfter; !got.Equal(now.Add(397 * day)) {
			t.Errorf("%s ends %s", name, got)
		}
		if served.Leaf.IsCA {
			t.Errorf("%s may sign others", name)
		}
	}
}

func TestKeepsWhatIsRight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := whys(t, options(dir)); got["ca"] == "" || got["nginx"] == "" {
		t.Fatalf("made %v", got)
	}
	before := contents(t, dir)
	o := options(dir)
	o.Now = now.Add((397 - 31) * day)
	if got := whys(t, o); got["ca"] != "" || got["nginx"] != "" || got["elasticsearch"] != "" {
		t.Errorf("made again: %v", got)
	}
	after := contents(t, dir)
	if len(after) != 6 || len(before) != 6 {
		t.Errorf("%d files, then %d", len(before), len(after))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s changed", name)
		}
	}
}

func TestRenews(t *testing.T) {
	t.Parallel()
	damage := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		before func(t *testing.T, dir string)
		change func(*Options)
		why    map[string]string // what the reasons begin with
	}{
		"soon over":         {nil, func(o *Options) { o.Now = now.Add((397 - 29) * day) }, map[string]string{"nginx": "the one there ends in 29 days", "elasticsearch": "the one there ends"}},
		"over":              {nil, func(o *Options) { o.Now = now.Add(398 * day) }, map[string]string{"nginx": "the one there has ended", "elasticsearch": "the one there has ended"}},
		"asked":             {nil, func(o *Options) { o.Renew = true }, map[string]string{"nginx": "asked for", "elasticsearch": "asked for"}},
		"another name":      {nil, func(o *Options) { o.Servers[1].Hosts = []string{"shop.example", "new.example"} }, map[string]string{"nginx": "the one there does not name new.example"}},
		"another address":   {nil, func(o *Options) { o.Servers[1].Hosts = []string{"10.0.0.1"} }, map[string]string{"nginx": "the one there does not name 10.0.0.1"}},
		"fewer names":       {nil, func(o *Options) { o.Servers[1].Hosts = []string{"shop.example"} }, nil},
		"authority over":    {nil, func(o *Options) { o.Now = now.Add(3630 * day) }, map[string]string{"ca": "the one there ends in 20 days", "nginx": "another authority", "elasticsearch": "another authority"}},
		"a damaged file":    {damage("nginx.crt", "x"), nil, map[string]string{"nginx": "the one there is not in PEM form"}},
		"a damaged key":     {damage("nginx.key", ""), nil, map[string]string{"nginx": "the one there is not in PEM form"}},
		"another one's key": {func(t *testing.T, dir string) { damage("nginx.key", contents(t, dir)["elasticsearch.key"])(t, dir) }, nil, map[string]string{"nginx": "the key there is of another certificate"}},
		"no authority's key": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
				t.Fatal(err)
			}
		}, nil, map[string]string{"ca": "the one there could not be read", "nginx": "another authority", "elasticsearch": "another authority"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			whys(t, options(dir))
			if tt.before != nil {
				tt.before(t, dir)
			}
			o := options(dir)
			if tt.change != nil {
				tt.change(&o)
			}
			got := whys(t, o)
			for name, why := range got {
				if want := tt.why[name]; !strings.HasPrefix(why, want) || (want == "") != (why == "") {
					t.Errorf("%s: %q, want %q", name, why, want)
				}
			}
			o.Renew = false
			for name, why := range whys(t, o) {
				if why != "" {
					t.Errorf("%s is made once more: %s", name, why)
				}
			}
		})
	}
}

func TestKeysAreTheirOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	group := os.Getgid()
	o := options(dir)
	for name, tt := range map[string]struct {
		group *int
		mode  fs.FileMode
	}{"1 alone": {nil, 0o600}, "2 shared": {&group, 0o640}, "3 no more": {nil, 0o600}} {
		o.Group = tt.group
		whys(t, o)
		for file, want := range map[string]fs.FileMode{"ca.key": 0o600, "nginx.key": tt.mode, "elasticsearch.key": tt.mode, "nginx.crt": 0o644} {
			info, err := os.Stat(filepath.Join(dir, file))
			if err != nil || info.Mode() != want {
				t.Errorf("%s: %s is %v %v", name, file, info.Mode(), err)
			}
		}
	}
}

func TestRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"no folder":       func(o *Options) { o.Dir = "" },
		"no server":       func(o *Options) { o.Servers = nil },
		"no host":         func(o *Options) { o.Servers[0].Hosts = nil },
		"a path":          func(o *Options) { o.Servers[0].Name = "../x" },
		"the authority":   func(o *Options) { o.Servers[0].Name = "ca" },
		"a URL":           func(o *Options) { o.Servers[0].Hosts = []string{"https://x"} },
		"a port":          func(o *Options) { o.Servers[0].Hosts = []string{"x:9200"} },
		"ended at once":   func(o *Options) { o.Lasts = -day },
		"a file in place": func(o *Options) { o.Dir = "certs_test.go" },
	} {
		o := options(t.TempDir())
		change(&o)
		if all, err := Make(o); err == nil {
			t.Errorf("%s: made %v", name, all)
		}
	}
}

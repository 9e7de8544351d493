// Package certs makes an authority of our own and the servers' certificates
// that it signs, for where no other authority is to be had.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// CAFile is the authority's certificate in the folder: what clients trust. Its
// key, ca.key, is for who makes certificates and for no server.
const CAFile = "ca.crt"

// Server is one whose certificate, NAME.crt, and key, NAME.key, are made.
type Server struct {
	// Name is the files' name: letters, digits and dashes.
	Name string
	// Hosts are the names and IP addresses under which clients reach it.
	Hosts []string
}

// Options say what [Make] makes. The zero value of each limit is its default.
type Options struct {
	// Dir is made if it is not there, for its owner only. Where root makes the
	// files, they get the owner of Dir.
	Dir     string
	Servers []Server
	// Group may read the servers' keys, by its id; nil: only their owner may.
	Group *int
	// Lasts is how long a server's certificate is good; 0 means 397 days, the
	// longest that browsers take from public authorities.
	Lasts time.Duration
	// RenewBefore is how long before its end one is made anew; 0 means 30 days.
	// The watch on certificates tells at 21.
	RenewBefore time.Duration
	// Renew makes the servers' anew, whatever they are. The authority stays, so
	// that clients go on trusting them.
	Renew bool
	// Now is what the time is.
	Now time.Time
}

// Made says what became of one certificate.
type Made struct {
	Name string    `json:"name"`
	File string    `json:"file"`
	Ends time.Time `json:"ends"`
	// Why is the reason for which it was made; empty: what was there is kept.
	Why string `json:"why,omitempty"`
}

// String is a line for a person.
func (m Made) String() string {
	ends := m.Ends.UTC().Format(time.DateOnly)
	if m.Why == "" {
		return fmt.Sprintf("%s: kept, good until %s", m.File, ends)
	}
	return fmt.Sprintf("%s: made (%s), good until %s", m.File, m.Why, ends)
}

const (
	caName = "ca"
	// caLasts is long, because every client must be given a new one.
	caLasts     = 10 * 365 * 24 * time.Hour
	lasts       = 397 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
	// backdated, because clients' clocks are behind.
	backdated = time.Hour
)

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// Make brings the folder to a certificate for each server, signed by the
// authority there, which it makes first where there is none. What is there and
// right is kept: its key fits, the authority signed it, it names the hosts, and
// it is good for longer than RenewBefore. It says of each what it did; with an
// error, of those before.
func Make(o Options) ([]Made, error) {
	if o.Lasts == 0 {
		o.Lasts = lasts
	}
	if o.RenewBefore == 0 {
		o.RenewBefore = renewBefore
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of certificates: %w", err)
	}
	f, err := openFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	authority, made, err := o.authority(f)
	if err != nil {
		return nil, err
	}
	all := []Made{made}
	for _, s := range o.Servers {
		made, err := o.server(f, s, authority)
		if err != nil {
			return all, err
		}
		all = append(all, made)
	}
	return all, nil
}

func (o Options) check() error {
	switch {
	case o.Dir == "":
		return errors.New("no folder is named")
	case len(o.Servers) == 0:
		return errors.New("no server is named")
	case o.Lasts <= 0 || o.RenewBefore < 0:
		return errors.New("a certificate must be good for some time")
	}
	for _, s := range o.Servers {
		switch {
		case !goodName.MatchString(s.Name) || s.Name == caName:
			return fmt.Errorf("%q is no name for a server's files", s.Name)
		case len(s.Hosts) == 0:
			return fmt.Errorf("%s: no host is named", s.Name)
		}
		for _, host := range s.Hosts {
			if net.ParseIP(host) == nil && !goodHost.MatchString(host) {
				return fmt.Errorf("%s: %q is neither a host name nor an IP address", s.Name, host)
			}
		}
	}
	return nil
}

var goodHost = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

func (o Options) authority(f folder) (pair, Made, error) {
	path := filepath.Join(o.Dir, CAFile)
	have, why := f.read(caName)
	if why == "" {
		switch {
		case !have.cert.IsCA:
			why = "the one there is no authority's"
		case o.Now.Add(o.RenewBefore).After(have.cert.NotAfter):
			why = ending(have.cert, o.Now)
		}
	}
	if why == "" {
		return have, Made{caName, path, have.cert.NotAfter, ""}, nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Pharos authority made " + o.Now.UTC().Format(time.DateOnly)},
		NotAfter:              o.Now.Add(caLasts),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	made, err := o.sign(template, nil)
	if err != nil {
		return pair{}, Made{}, fmt.Errorf("make authority: %w", err)
	}
	if err := f.write(caName, made, nil); err != nil {
		return pair{}, Made{}, err
	}
	return made, Made{caName, path, made.cert.NotAfter, why}, nil
}

func (o Options) server(f folder, s Server, authority pair) (Made, error) {
	path := filepath.Join(o.Dir, s.Name+".crt")
	have, why := f.read(s.Name)
	if why == "" {
		why = o.wrong(have.cert, s, authority.cert)
	}
	if why == "" {
		return Made{s.Name, path, have.cert.NotAfter, ""}, f.share(s.Name, o.Group)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: s.Hosts[0]},
		NotAfter:    o.Now.Add(o.Lasts),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range s.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	made, err := o.sign(template, &authority)
	if err != nil {
		return Made{}, fmt.Errorf("make certificate of %s: %w", s.Name, err)
	}
	if err := f.write(s.Name, made, o.Group); err != nil {
		return Made{}, err
	}
	return Made{s.Name, path, made.cert.NotAfter, why}, nil
}

// wrong says why a server's certificate can't stay; empty: it can.
func (o Options) wrong(c *x509.Certificate, s Server, authority *x509.Certificate) string {
	if o.Renew {
		return "asked for"
	}
	if c.CheckSignatureFrom(authority) != nil {
		return "another authority signed the one there"
	}
	for _, host := range s.Hosts {
		named := slices.Contains(c.DNSNames, host)
		if ip := net.ParseIP(host); ip != nil {
			named = slices.ContainsFunc(c.IPAddresses, ip.Equal)
		}
		if !named {
			return "the one there does not name " + host
		}
	}
	if o.Now.Add(o.RenewBefore).After(c.NotAfter) {
		return ending(c, o.Now)
	}
	return ""
}

func ending(c *x509.Certificate, now time.Time) string {
	if now.After(c.NotAfter) {
		return "the one there has ended"
	}
	return fmt.Sprintf("the one there ends in %d days", int(c.NotAfter.Sub(now).Hours()/24))
}

// sign makes a key and the template's certificate for it, signed by an authority
// or, without one, by itself.
func (o Options) sign(template *x509.Certificate, by *pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	// 127 bits: RFC 5280 allows 20 octets, and asks for a positive number.
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return pair{}, err
	}
	template.NotBefore = o.Now.Add(-backdated)
	parent := pair{cert: template, key: key}
	if by != nil {
		parent = *by
		if template.NotAfter.After(by.cert.NotAfter) {
			template.NotAfter = by.cert.NotAfter
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, err
	}
	return pair{cert, key}, nil
}

package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// folder is where the files are. Its owner is theirs, if we may choose.
type folder struct {
	path     string
	uid, gid int // -1: as it comes
}

func openFolder(path string) (folder, error) {
	f := folder{path, -1, -1}
	if os.Geteuid() != 0 {
		return f, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return f, fmt.Errorf("look at folder of certificates: %w", err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		f.uid, f.gid = int(s.Uid), int(s.Gid)
	}
	return f, nil
}

// read returns a certificate with its key, or why what is there is of no use.
func (f folder) read(name string) (pair, string) {
	text, err := os.ReadFile(filepath.Join(f.path, name+".crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return pair{}, "there was none"
	}
	secret, keyErr := os.ReadFile(filepath.Join(f.path, name+".key"))
	if err != nil || keyErr != nil {
		return pair{}, "the one there could not be read"
	}
	block, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(secret)
	if block == nil || keyBlock == nil {
		return pair{}, "the one there is not in PEM form"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return pair{}, "the one there could not be read"
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return pair{}, "the key there could not be read"
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return pair{}, "the key there is of no use"
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(cert.PublicKey) {
		return pair{}, "the key there is of another certificate"
	}
	return pair{cert, key}, ""
}

// write stores both files. The key comes first: after a crash between the two
// they don't fit, which the next read sees.
func (f folder) write(name string, p pair, group *int) error {
	secret, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return fmt.Errorf("store key of %s: %w", name, err)
	}
	mode, gid := f.keyMode(group)
	if err := f.put(name+".key", &pem.Block{Type: "PRIVATE KEY", Bytes: secret}, mode, gid); err != nil {
		return err
	}
	return f.put(name+".crt", &pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}, 0o644, f.gid)
}

func (f folder) keyMode(group *int) (fs.FileMode, int) {
	if group == nil {
		return 0o600, f.gid
	}
	return 0o640, *group
}

// share gives a key that is kept the rights that a new one would have.
func (f folder) share(name string, group *int) error {
	path := filepath.Join(f.path, name+".key")
	mode, gid := f.keyMode(group)
	if err := os.Chown(path, f.uid, gid); err != nil {
		return fmt.Errorf("give key of %s to its group: %w", name, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("give key of %s to its group: %w", name, err)
	}
	return nil
}

// put stores a file whole or not at all: a server may read it at any moment.
func (f folder) put(name string, block *pem.Block, mode fs.FileMode, gid int) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store %s: %w", name, err)
		}
	}()
	tmp, err := os.CreateTemp(f.path, "."+name+".*") // for its owner only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	err = errors.Join(pem.Encode(tmp, block), tmp.Chown(f.uid, gid), tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(f.path, name))
}

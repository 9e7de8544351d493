package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"pharos/internal/certs"
)

// setupCertificates makes what servers of TLS need where no other authority is.
type setupCertificates struct {
	Dir           string   `required:"" placeholder:"FOLDER" help:"Where they are kept: ca.crt, elasticsearch.crt, nginx.crt and a .key of each."`
	Elasticsearch []string `name:"elasticsearch-hosts" default:"elasticsearch,localhost,127.0.0.1,::1" help:"Names and addresses of Elasticsearch."`
	Nginx         []string `name:"nginx-hosts" default:"localhost,127.0.0.1,::1" help:"Names and addresses under which users reach nginx."`
	Group         *int     `placeholder:"GID" help:"Who may read the servers' keys besides their owner: a group's id."`
	Days          int      `default:"397" help:"How long the servers' are good."`
	RenewDays     int      `default:"30" help:"How many days before its end one is made anew."`
	Renew         bool     `help:"Make the servers' anew now. The authority stays."`
}

// Run implements the command.
func (s *setupCertificates) Run(_ context.Context, c *cli) error {
	const day = 24 * time.Hour
	if s.Days < 1 || s.RenewDays < 1 {
		return usageError{errors.New("--days and --renew-days are 1 or more")}
	}
	made, err := certs.Make(certs.Options{
		Dir:         s.Dir,
		Servers:     []certs.Server{{Name: "elasticsearch", Hosts: s.Elasticsearch}, {Name: "nginx", Hosts: s.Nginx}},
		Group:       s.Group,
		Lasts:       time.Duration(s.Days) * day,
		RenewBefore: time.Duration(s.RenewDays) * day,
		Renew:       s.Renew,
		Now:         time.Now(),
	})
	if c.JSON {
		if encodeErr := json.NewEncoder(os.Stdout).Encode(made); encodeErr != nil && err == nil {
			err = encodeErr
		}
		return err
	}
	for _, m := range made {
		fmt.Fprintln(os.Stderr, m)
	}
	return err
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/watcher/alerthttp"
	"pharos/watcher/watcherhttp"
)

// authorizer lets Elasticsearch say, by the caller's own credentials, who may do
// what: its cluster privileges monitor_watcher and manage_watcher are those of
// Elastic's Watcher, and the privilege watch:operate of the application pharos
// allows to acknowledge, activate and deactivate. Its privileges alert:read and
// incident:read allow to read alerts and incidents.
type authorizer struct {
	ask func(ctx context.Context, authorization string, question elastic.Privileges) (elastic.Rights, error)
	now func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]person
}

// person is what a caller may do.
type person struct {
	user  string
	may   map[string]bool // by privilege
	until time.Time
}

const (
	// believe is how long an answer is used again: rights that are taken away are
	// gone after that.
	believe = 5 * time.Second
	// remembered bounds the memory; what is new is then asked each time.
	remembered = 1000

	application = "pharos"
)

func newAuthorizer(es *elastic.Client, now func() time.Time) *authorizer {
	return &authorizer{ask: es.Has, now: now, known: map[[sha256.Size]byte]person{}}
}

// Authorize implements watcherhttp.Authorizer.
func (a *authorizer) Authorize(ctx context.Context, authorization string, need watcherhttp.Privilege) (string, error) {
	p, err := a.authorize(ctx, authorization, string(need))
	return p.user, err
}

// people is the authorizer for what people do with alerts.
type people struct{ *authorizer }

// Authorize implements alerthttp.Authorizer.
func (a people) Authorize(ctx context.Context, authorization string, need alerthttp.Privilege) (alerthttp.Caller, error) {
	p, err := a.authorize(ctx, authorization, string(need))
	if err != nil {
		return alerthttp.Caller{}, err
	}
	caller := alerthttp.Caller{User: p.user, May: map[alerthttp.Privilege]bool{}}
	for privilege, may := range p.may {
		caller.May[alerthttp.Privilege(privilege)] = may
	}
	return caller, nil
}

func (a *authorizer) authorize(ctx context.Context, authorization, need string) (person, error) {
	if authorization == "" {
		return person{}, fault.New(fault.Unauthenticated, "missing authentication credentials for REST request")
	}
	p, err := a.person(ctx, authorization)
	switch {
	case errors.Is(err, elastic.ErrUnauthenticated):
		return person{}, fault.New(fault.Unauthenticated, "unable to authenticate user for REST request")
	case err != nil && ctx.Err() == nil:
		return person{}, fmt.Errorf("ask for the caller's rights: %w: %w", fault.New(fault.Unavailable, "Elasticsearch, which knows the accounts, does not answer."), err)
	case err != nil:
		return person{}, fmt.Errorf("ask for the caller's rights: %w", err)
	case !p.may[need]:
		return person{}, fault.New(fault.Forbidden, "the call is unauthorized for user [%s], this is granted by the privilege [%s]", p.user, need)
	}
	return p, nil
}

func (a *authorizer) person(ctx context.Context, authorization string) (person, error) {
	key := sha256.Sum256([]byte(authorization))
	a.mu.Lock()
	p, ok := a.known[key]
	a.mu.Unlock()
	if ok && a.now().Before(p.until) {
		return p, nil
	}
	const monitor, manage = string(watcherhttp.Monitor), string(watcherhttp.Manage)
	const incidents, alerts, operate = string(alerthttp.ReadIncidents), string(alerthttp.ReadAlerts), string(alerthttp.Operate)
	rights, err := a.ask(ctx, authorization, elastic.Privileges{
		Cluster:     []string{monitor, manage},
		Application: []elastic.ApplicationPrivileges{{Application: application, Privileges: []string{incidents, alerts, operate}, Resources: []string{"*"}}},
	})
	if err != nil {
		return person{}, err
	}
	has := rights.Application[application]["*"]
	p = person{user: rights.User, until: a.now().Add(believe), may: map[string]bool{string(alerthttp.SignedIn): true}}
	p.may[manage] = rights.Cluster[manage]
	p.may[operate] = p.may[manage] || has[operate]
	p.may[monitor] = p.may[operate] || rights.Cluster[monitor]
	p.may[alerts] = p.may[monitor] || has[alerts]
	p.may[incidents] = p.may[alerts] || has[incidents]
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= remembered {
		for k, old := range a.known {
			if !a.now().Before(old.until) {
				delete(a.known, k)
			}
		}
	}
	if len(a.known) < remembered {
		a.known[key] = p
	}
	return p, nil
}

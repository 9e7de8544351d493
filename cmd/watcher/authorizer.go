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
	"pharos/watcher/watcherhttp"
)

// authorizer lets Elasticsearch say, by the caller's own credentials, who may do
// what: its cluster privileges monitor_watcher and manage_watcher are those of
// Elastic's Watcher, and the privilege watch:operate of the application pharos
// allows to acknowledge, activate and deactivate.
type authorizer struct {
	ask func(ctx context.Context, authorization string, question elastic.Privileges) (elastic.Rights, error)
	now func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]person
}

// person is what a caller may do.
type person struct {
	user  string
	may   map[watcherhttp.Privilege]bool
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
	if authorization == "" {
		return "", fault.New(fault.Unauthenticated, "missing authentication credentials for REST request")
	}
	p, err := a.person(ctx, authorization)
	switch {
	case errors.Is(err, elastic.ErrUnauthenticated):
		return "", fault.New(fault.Unauthenticated, "unable to authenticate user for REST request")
	case err != nil:
		return "", fmt.Errorf("ask for the caller's rights: %w", err)
	case !p.may[need]:
		return "", fault.New(fault.Forbidden, "the call is unauthorized for user [%s], this is granted by the privilege [%s]", p.user, need)
	}
	return p.user, nil
}

func (a *authorizer) person(ctx context.Context, authorization string) (person, error) {
	key := sha256.Sum256([]byte(authorization))
	a.mu.Lock()
	p, ok := a.known[key]
	a.mu.Unlock()
	if ok && a.now().Before(p.until) {
		return p, nil
	}
	rights, err := a.ask(ctx, authorization, elastic.Privileges{
		Cluster:     []string{string(watcherhttp.Monitor), string(watcherhttp.Manage)},
		Application: []elastic.ApplicationPrivileges{{Application: application, Privileges: []string{string(watcherhttp.Operate)}, Resources: []string{"*"}}},
	})
	if err != nil {
		return person{}, err
	}
	manage := rights.Cluster[string(watcherhttp.Manage)]
	p = person{user: rights.User, until: a.now().Add(believe), may: map[watcherhttp.Privilege]bool{
		watcherhttp.Monitor: manage || rights.Cluster[string(watcherhttp.Monitor)],
		watcherhttp.Operate: manage || rights.Application[application]["*"][string(watcherhttp.Operate)],
		watcherhttp.Manage:  manage,
	}}
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

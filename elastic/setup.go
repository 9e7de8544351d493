package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"reflect"
	"time"
)

// Options are the choices of a Setup.
type Options struct {
	// Stack is true where Kibana and APM Server stand beside Elasticsearch
	// (Docker, Kubernetes): Elastic's own templates for the agents' documents
	// stay, and both get their accounts. False is the native run, where our
	// intake writes those documents into templates of ours.
	Stack bool
	// Wait is how long to wait for Elasticsearch to answer; 0 means 3 minutes.
	Wait time.Duration
	// Progress is told, line by line, what goes on. Nil tells nobody.
	Progress func(line string)
}

const defaultWait = 3 * time.Minute

// Setup brings Elasticsearch to what this version of Pharos needs: scripts,
// ingest pipelines, templates, the mappings of streams that exist already,
// roles, and the given accounts with their passwords. The client needs the
// rights of a superuser. It can be run again at any time: what is right
// already stays as it is.
//
// An object of the same name that Pharos did not make is never overwritten. A
// data stream whose mapping can't be changed in place goes on in a new index,
// without a pause; an index of its own is kept, and the summary says so. Any other
// failure ends Setup with an error that names the object and
// Elasticsearch's reason; the summary then tells how far it came.
func Setup(ctx context.Context, c *Client, accounts []Account, opts Options) (Summary, error) {
	return setupFrom(ctx, files, c, accounts, opts)
}

func setupFrom(ctx context.Context, from fs.FS, c *Client, accounts []Account, opts Options) (Summary, error) {
	if opts.Wait == 0 {
		opts.Wait = defaultWait
	}
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	objects, err := loadObjects(from, opts.Stack)
	if err != nil {
		return Summary{}, err
	}
	if err := c.waitReady(ctx, opts.Wait, opts.Progress); err != nil {
		return Summary{}, err
	}
	s := &setup{client: c, progress: opts.Progress}
	err = s.run(ctx, objects, accounts)
	return s.summary, err
}

type setup struct {
	client   *Client
	progress func(string)
	summary  Summary
}

func (s *setup) run(ctx context.Context, objects []object, accounts []Account) error {
	for _, o := range objects {
		c, err := s.put(ctx, o)
		if err != nil {
			return err
		}
		s.note(c)
	}
	for _, o := range objects {
		if o.folder != "templates" {
			continue
		}
		if err := s.updateStreams(ctx, o); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		c, err := s.account(ctx, a)
		if err != nil {
			return err
		}
		s.note(c)
	}
	return nil
}

func (s *setup) note(c Change) {
	s.summary.Changes = append(s.summary.Changes, c)
	if c.Action != Unchanged {
		s.progress(c.String())
	}
}

// put sends an object and tells by what Elasticsearch held before and after
// whether that changed anything; files can't tell, since Elasticsearch stores
// them in a form of its own.
func (s *setup) put(ctx context.Context, o object) (Change, error) {
	before, err := s.stored(ctx, o)
	if err != nil {
		return Change{}, err
	}
	if err := o.mayReplace(before); err != nil {
		return Change{}, err
	}
	if err := s.client.call(ctx, http.MethodPut, o.path+o.name, o.body, nil); err != nil {
		return Change{}, fmt.Errorf("put %s %s: %w", o.kind.name, o.name, err)
	}
	change := Change{Kind: o.kind.name, Name: o.name, Action: Created}
	if before == nil {
		return change, nil
	}
	after, err := s.stored(ctx, o)
	if err != nil {
		return Change{}, err
	}
	change.Action = Updated
	if same(before, after) {
		change.Action = Unchanged
	}
	return change, nil
}

// stored returns what Elasticsearch holds of the object, nil for nothing.
func (s *setup) stored(ctx context.Context, o object) (json.RawMessage, error) {
	var answer map[string]json.RawMessage
	err := s.client.call(ctx, http.MethodGet, o.path+o.name, nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", o.kind.name, o.name, err)
	}
	body, err := o.stored(o.name, answer)
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", o.kind.name, o.name, err)
	}
	return body, nil
}

// mayReplace refuses to overwrite what somebody else made under the same name.
// Scripts can't carry a mark, but their names are ours.
func (o object) mayReplace(before json.RawMessage) error {
	if before == nil || o.mark.ManagedBy == "" {
		return nil
	}
	m, err := markOf(before)
	if err != nil {
		return fmt.Errorf("get %s %s: %w", o.kind.name, o.name, err)
	}
	if m.ManagedBy != manager {
		return fmt.Errorf("%s %s exists already and was not made by Pharos: rename or remove it", o.kind.name, o.name)
	}
	return nil
}

func same(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// waitReady waits until the cluster can store objects: it answers, it knows
// the account, and its primary shards are there.
func (c *Client) waitReady(ctx context.Context, limit time.Duration, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	const (
		pause = time.Second
		told  = 5 * time.Second
		// A node that starts with a full disk of shards may refuse its own
		// superuser until it has loaded the account.
		grace = 20 * time.Second
	)
	start := time.Now()
	var (
		lastTold time.Time
		last     error
	)
	for {
		err := c.call(ctx, http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=5s", nil, nil)
		switch {
		case err == nil:
			return nil
		case isStatus(err, http.StatusForbidden):
			return fmt.Errorf("the account may not do the setup: %w", err)
		case isStatus(err, http.StatusUnauthorized) && time.Since(start) >= min(grace, limit/2):
			return fmt.Errorf("the account or its password (ELASTIC_PASSWORD) is refused: %w", err)
		case ctx.Err() == nil || last == nil:
			last = err
		}
		if time.Since(lastTold) >= told {
			lastTold = time.Now()
			progress(fmt.Sprintf("waiting for Elasticsearch, %s of at most %s: %v", time.Since(start).Round(time.Second), limit, last))
		}
		if err := sleep(ctx, pause); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("waited %s for Elasticsearch: %w", limit, last)
			}
			return err
		}
	}
}

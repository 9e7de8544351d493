package kibanaapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"time"

	"pharos/kibana"
)

// Options are the choices of Load.
type Options struct {
	// Space is made where it is not there; "" is the default space.
	Space string
	// Rules also makes the alerting rules, or brings them up to date.
	Rules bool
	// Wait is how long to wait for Kibana to be ready; 0 means 5 minutes.
	Wait time.Duration
	// Progress is told, line by line, what goes on. Nil tells nobody.
	Progress func(line string)
}

// Failure is an object that Kibana did not take, and why.
type Failure struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// String says it in a line.
func (f Failure) String() string {
	return fmt.Sprintf("%s %s (%s): %s", f.Type, f.ID, f.Title, f.Reason)
}

// Summary is what came of a Load.
type Summary struct {
	Space    string    `json:"space"`
	NewSpace bool      `json:"new_space"`
	Imported int       `json:"imported"`
	Rules    int       `json:"rules"`
	Failures []Failure `json:"failures"`
}

// String says it in words.
func (s Summary) String() string {
	space := s.Space
	if space == "" {
		space = "default"
	}
	text := fmt.Sprintf("%d objects imported into the space %s", s.Imported, space)
	if s.Rules > 0 {
		text += fmt.Sprintf(", %d rules", s.Rules)
	}
	if len(s.Failures) > 0 {
		text += fmt.Sprintf(", %d failed", len(s.Failures))
	}
	return text + "."
}

const defaultWait = 5 * time.Minute

// CheckSpace says what is wrong with a space's id.
// https://www.elastic.co/docs/api/doc/kibana/v8/operation/operation-post-spaces-space
func CheckSpace(space string) error {
	if !regexp.MustCompile(`^[a-z0-9_-]*$`).MatchString(space) {
		return errors.New("a space's id has lower-case letters, digits, - and _ only")
	}
	return nil
}

// Load waits for Kibana, makes the space and imports all objects over what is
// there under the same ids, so it can be run again at any time. What Kibana did
// not take is in the summary and in the error; what was imported stays.
func Load(ctx context.Context, cfg Config, opts Options) (Summary, error) {
	if opts.Wait == 0 {
		opts.Wait = defaultWait
	}
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	s := Summary{Space: opts.Space, Failures: []Failure{}}
	if err := CheckSpace(opts.Space); err != nil {
		return s, err
	}
	upload, err := everything(cfg)
	if err != nil {
		return s, err
	}
	c := newClient(cfg, opts.Space)
	if err := c.waitReady(ctx, opts.Wait, opts.Progress); err != nil {
		return s, err
	}
	if opts.Space != "" {
		if s.NewSpace, err = c.makeSpace(ctx); err != nil {
			return s, err
		}
	}
	if s.Imported, s.Failures, err = c.importObjects(ctx, upload); err != nil {
		return s, err
	}
	if opts.Rules {
		var failed []Failure
		s.Rules, failed, err = c.putRules(ctx)
		s.Failures = append(s.Failures, failed...)
		if err != nil {
			return s, err
		}
	}
	if len(s.Failures) > 0 {
		lines := make([]string, len(s.Failures))
		for i, f := range s.Failures {
			lines[i] = f.String()
		}
		return s, fmt.Errorf("%d objects were not taken:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	return s, nil
}

// everything is one file of all objects, as they refer to one another, with the
// console's own address.
func everything(cfg Config) ([]byte, error) {
	files, err := kibana.Objects(kibana.Price{PerHour: cfg.PricePerHour, Currency: cfg.PriceCurrency})
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, f := range files {
		all = append(all, f.Content...)
	}
	if cfg.Console != "" {
		all = bytes.ReplaceAll(all, []byte(kibana.DefaultConsole), []byte(strings.TrimRight(cfg.Console, "/")))
	}
	return all, nil
}

// waitReady waits until Kibana answers as one that is ready.
// https://www.elastic.co/docs/api/doc/kibana/v8/operation/operation-get-status
func (c *client) waitReady(ctx context.Context, limit time.Duration, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	const pause, told = time.Second, 5 * time.Second
	start := time.Now()
	var lastTold time.Time
	var last error
	for {
		err := c.ready(ctx)
		switch {
		case err == nil:
			return nil
		case isStatus(err, http.StatusUnauthorized), isStatus(err, http.StatusForbidden):
			return err
		case ctx.Err() == nil || last == nil:
			last = err
		}
		if time.Since(lastTold) >= told {
			lastTold = time.Now()
			progress(fmt.Sprintf("waiting for Kibana, %s of at most %s: %v", time.Since(start).Round(time.Second), limit, last))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("waited %s for Kibana: %w", limit, last)
			}
			return ctx.Err()
		}
	}
}

func (c *client) ready(ctx context.Context) error {
	var answer struct {
		Status struct {
			Overall struct{ Level, Summary string }
		}
	}
	if err := c.call(ctx, http.MethodGet, "/api/status", nil, &answer); err != nil {
		return err
	}
	if o := answer.Status.Overall; o.Level != "available" && o.Level != "degraded" {
		return fmt.Errorf("it says %q: %s", o.Level, o.Summary)
	}
	return nil
}

// makeSpace makes the client's space unless it is there.
func (c *client) makeSpace(ctx context.Context) (made bool, err error) {
	err = c.call(ctx, http.MethodGet, "/api/spaces/space/"+c.space, nil, nil)
	if err == nil {
		return false, nil
	}
	if !isStatus(err, http.StatusNotFound) {
		return false, fmt.Errorf("look for the space: %w", err)
	}
	body := map[string]any{"id": c.space, "name": c.space, "description": "Dashboards of Pharos", "disabledFeatures": []string{}}
	if err := c.call(ctx, http.MethodPost, "/api/spaces/space", body, nil); err != nil {
		return false, fmt.Errorf("make the space: %w", err)
	}
	return true, nil
}

// importError is why Kibana did not take an object.
// https://www.elastic.co/docs/api/doc/kibana/v8/operation/operation-post-saved-objects-import
type importError struct {
	ID, Type, Title string
	Meta            struct{ Title string }
	Error           struct {
		Type       string
		Message    string
		StatusCode int
		References []struct{ Type, ID string }
	}
}

func (e importError) failure() Failure {
	f := Failure{Type: e.Type, ID: e.ID, Title: e.Title}
	if f.Title == "" {
		f.Title = e.Meta.Title
	}
	switch e.Error.Type {
	case "conflict", "ambiguous_conflict":
		f.Reason = "another object is in its place, and was not overwritten"
	case "missing_references":
		var missing []string
		for _, r := range e.Error.References {
			missing = append(missing, r.Type+" "+r.ID)
		}
		f.Reason = "it refers to what is not there: " + strings.Join(missing, ", ")
	case "unsupported_type":
		f.Reason = "Kibana does not know this type of object"
	default:
		f.Reason = e.Error.Message
		if f.Reason == "" {
			f.Reason = e.Error.Type
		}
	}
	return f
}

func (c *client) importObjects(ctx context.Context, objects []byte) (imported int, failures []Failure, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "pharos.ndjson")
	if err != nil {
		return 0, nil, fmt.Errorf("write form: %w", err)
	}
	if _, err := part.Write(objects); err != nil {
		return 0, nil, fmt.Errorf("write form: %w", err)
	}
	if err := form.Close(); err != nil {
		return 0, nil, fmt.Errorf("write form: %w", err)
	}
	var answer struct {
		Success      bool
		SuccessCount int
		Errors       []importError
	}
	path := c.inSpace("/api/saved_objects/_import") + "?overwrite=true"
	if err := c.send(ctx, http.MethodPost, path, form.FormDataContentType(), body.Bytes(), &answer); err != nil {
		return 0, nil, err
	}
	failures = []Failure{}
	for _, e := range answer.Errors {
		failures = append(failures, e.failure())
	}
	if !answer.Success && len(failures) == 0 {
		return answer.SuccessCount, failures, errors.New("import: Kibana says that it failed, and not why")
	}
	return answer.SuccessCount, failures, nil
}

// putRules makes the rules, or brings those that are there up to date: their
// connectors stay.
func (c *client) putRules(ctx context.Context) (done int, failures []Failure, err error) {
	for _, r := range kibana.Rules() {
		err := c.putRule(ctx, r)
		var refused *Error
		switch {
		case err == nil:
			done++
		case errors.As(err, &refused):
			failures = append(failures, Failure{"rule", r.ID, r.Title, refused.Error()})
		default:
			return done, failures, fmt.Errorf("rule %s: %w", r.Name, err)
		}
	}
	return done, failures, nil
}

// https://www.elastic.co/docs/api/doc/kibana/v8/operation/operation-put-alerting-rule-id
func (c *client) putRule(ctx context.Context, r kibana.Rule) error {
	path := c.inSpace("/api/alerting/rule/" + r.ID)
	var there struct {
		Actions []map[string]any `json:"actions"`
	}
	err := c.call(ctx, http.MethodGet, path, nil, &there)
	if isStatus(err, http.StatusNotFound) {
		return c.call(ctx, http.MethodPost, path, r.Created(), nil)
	}
	if err != nil {
		return err
	}
	for _, a := range there.Actions {
		delete(a, "connector_type_id") // is answered, but not taken
	}
	return c.call(ctx, http.MethodPut, path, r.Updated(there.Actions), nil)
}

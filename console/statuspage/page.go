package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pharos/internal/look"
)

// Config is the page's settings.
type Config struct {
	// Interval is how often the state is read.
	Interval time.Duration `env:"STATUS_INTERVAL" envDefault:"10s"`
	// StateFile keeps the last known state over a restart; empty: nothing does.
	StateFile string `env:"STATUS_STATE_FILE"`
	// ComponentsFile says what is shown; empty: what comes with Pharos.
	ComponentsFile string `env:"STATUS_COMPONENTS_FILE"`
	// URL is where the public finds the page; feeds link to it.
	URL string `env:"STATUS_URL" envDefault:"http://127.0.0.1:8080/status"`
	// Name is whose page it is.
	Name string `env:"STATUS_NAME" envDefault:"Pharos"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	var errs []error
	if c.Interval < time.Second || c.Interval > 10*time.Minute {
		errs = append(errs, errors.New("STATUS_INTERVAL must be between 1s and 10m"))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("STATUS_URL must be an address as in https://www.example.org/status"))
	}
	return errors.Join(errs...)
}

// Page is the status page. Run reads the state; Handler serves what was read last.
type Page struct {
	cfg      Config
	reader   *reader
	log      *zap.Logger
	now      func() time.Time
	template *template.Template
	assets   *look.Assets

	shown  atomic.Pointer[representations]
	status Status // Run's
	ofFile []byte
}

// New returns the page, with the last known state if there is a file of it.
func New(cfg Config, catalog Catalog, es Searcher, log *zap.Logger, now func() time.Time) (*Page, error) {
	own, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("read assets of the status page: %w", err)
	}
	p := &Page{cfg: cfg, reader: &reader{es: es, catalog: catalog}, log: log, now: now}
	if p.assets, err = look.NewAssets(AssetsPath, own); err != nil {
		return nil, err
	}
	if p.template, err = parse(p.assets); err != nil {
		return nil, err
	}
	p.restore()
	if err := p.show(); err != nil {
		return nil, err
	}
	return p, nil
}

// Run reads the state until ctx ends. What fails is logged once, until it works
// again; what was known stays.
func (p *Page) Run(ctx context.Context) error {
	failing := false
	for {
		err := p.read(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			p.log.Warn("the status page can't be brought up to date; it shows its last known state", zap.Error(err))
		case err == nil && failing:
			p.log.Info("the status page is up to date again")
		}
		failing = err != nil
		timer := time.NewTimer(p.cfg.Interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// read asks for the state once, and shows it, or the last one with its age.
func (p *Page) read(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, max(p.cfg.Interval, 5*time.Second))
	defer cancel()
	facts, err := p.reader.facts(ask, p.now())
	if err == nil {
		p.status = p.reader.catalog.Status(facts)
		err = p.keep()
	}
	return errors.Join(err, p.show())
}

// late is how old a state may be that is said to be the present one.
func (p *Page) late() time.Duration { return max(3*p.cfg.Interval, 30*time.Second) }

// show makes the representations of what is known, if that has changed.
func (p *Page) show() error {
	d := newDocument(p.cfg, p.status, p.now(), p.late())
	if old := p.shown.Load(); old != nil && old.same(d) {
		return nil
	}
	next, err := render(p.template, d)
	if err != nil {
		return fmt.Errorf("render the status page: %w", err)
	}
	p.shown.Store(next)
	return nil
}

// keep writes the state to its file, at most once a minute while nothing but the
// time changes. It holds only what the public may know.
func (p *Page) keep() error {
	if p.cfg.StateFile == "" {
		return nil
	}
	kept := p.status
	kept.At = kept.At.Truncate(time.Minute)
	text, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	if string(text) == string(p.ofFile) {
		return nil
	}
	dir := filepath.Dir(p.cfg.StateFile)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	f, err := os.CreateTemp(dir, ".status-*")
	if err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), p.cfg.StateFile)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("keep the state: %w", err)
	}
	p.ofFile = text
	return nil
}

// restore reads the file of the last known state. One that can't be read is no
// reason not to start.
func (p *Page) restore() {
	if p.cfg.StateFile == "" {
		return
	}
	text, err := os.ReadFile(p.cfg.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var s Status
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		p.log.Warn("the last known state can't be read; the status page begins without", zap.Error(err))
		return
	}
	p.status = s
}

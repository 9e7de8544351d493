package signals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	askTimeout = 5 * time.Second
	maxPage    = 8 << 20
)

// pages reads a page of every instance of a process.
type pages struct {
	urls   []string
	path   string
	client *http.Client
	lookup func(ctx context.Context, host string) ([]string, error)
	report func(error)
}

func newPages(urls []string, path string, report func(error)) pages {
	return pages{
		urls: urls, path: path, report: report,
		// Its own connections, so that closing them is nobody else's business.
		client: &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
		lookup: net.DefaultResolver.LookupHost,
	}
}

// page is what an instance answered.
type page struct {
	instance string // host:port
	text     string
}

// read asks all instances at once. partial says that one did not answer.
func (p pages) read(ctx context.Context) (answers []page, partial bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	requests, err := p.requests(ctx)
	partial = err != nil
	if err != nil {
		p.report(err)
	}
	texts := make([]string, len(requests))
	errs := make([]error, len(requests))
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() { texts[i], errs[i] = p.get(r) })
	}
	all.Wait()
	for i, r := range requests {
		if errs[i] != nil {
			partial = true
			p.report(errs[i])
			continue
		}
		answers = append(answers, page{r.URL.Host, texts[i]})
	}
	return answers, partial
}

// requests has one for each address that the URLs stand for: a name that several
// instances share is asked at each of them.
func (p pages) requests(ctx context.Context) ([]*http.Request, error) {
	var list []*http.Request
	var errs []error
	seen := map[string]bool{}
	for _, raw := range p.urls {
		u, err := url.Parse(strings.TrimSuffix(raw, "/") + p.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("address of %s: %w", p.path, err))
			continue
		}
		hosts := []string{u.Hostname()}
		if _, err := netip.ParseAddr(u.Hostname()); err != nil {
			if hosts, err = p.lookup(ctx, u.Hostname()); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		for _, host := range hosts {
			at := *u
			at.Host = net.JoinHostPort(host, u.Port())
			if u.Port() == "" {
				at.Host = host
			}
			if seen[at.Host] {
				continue
			}
			seen[at.Host] = true
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
			if err != nil {
				errs = append(errs, fmt.Errorf("address of %s: %w", p.path, err))
				continue
			}
			r.Host = u.Host
			list = append(list, r)
		}
	}
	return list, errors.Join(errs...)
}

func (p pages) get(r *http.Request) (string, error) {
	res, err := p.client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", r.URL, err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %d", r.URL, res.StatusCode)
	}
	return string(text), nil
}

// Nginx counts the requests that nginx has begun to answer: all of them, probes
// and those for its status page included, each of which has a line in its log.
type Nginx struct{ pages pages }

// NewNginx returns a source that asks the status pages below urls, and reports
// those that do not answer.
func NewNginx(urls []string, report func(error)) Nginx {
	return Nginx{newPages(urls, "/nginx_status", report)}
}

// https://nginx.org/en/docs/http/ngx_http_stub_status_module.html
var statusRequests = regexp.MustCompile(`(?m)^server accepts handled requests\r?\n\s*\d+\s+\d+\s+(\d+)\s*$`)

// Read implements [Source].
func (n Nginx) Read(ctx context.Context) (map[string][]Reading, bool) {
	answers, partial := n.pages.read(ctx)
	readings := []Reading{}
	for _, a := range answers {
		m := statusRequests.FindStringSubmatch(a.text)
		if m == nil {
			n.pages.report(fmt.Errorf("the status page of %s has no requests", a.instance))
			partial = true
			continue
		}
		value, err := strconv.ParseFloat(m[1], 64)
		if err != nil { // digits always parse
			partial = true
			continue
		}
		readings = append(readings, Reading{Instance: a.instance, Value: value})
	}
	return map[string][]Reading{NginxRequests: readings}, partial
}

// API counts what api's processes say of themselves on /metrics.
type API struct{ pages pages }

// NewAPI returns a source that asks the processes at urls, and reports those that
// do not answer.
func NewAPI(urls []string, report func(error)) API {
	return API{newPages(urls, "/metrics", report)}
}

// Read implements [Source].
func (s API) Read(ctx context.Context) (map[string][]Reading, bool) {
	answers, partial := s.pages.read(ctx)
	all := map[string][]Reading{APILogged: {}, APITraced: {}, APISampled: {}}
	for _, a := range answers {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(a.text))
		if err == nil && families["http_server_requests_logged_total"] == nil {
			err = errors.New("they count no lines of an access log")
		}
		if err != nil {
			s.pages.report(fmt.Errorf("metrics of %s: %w", a.instance, err))
			partial = true
			continue
		}
		started := time.Time{}
		if at, ok := sum(families["process_start_time_seconds"], "", ""); ok {
			whole, part := math.Modf(at)
			started = time.Unix(int64(whole), int64(part*1e9))
		}
		for counter, of := range map[string]struct{ family, label, value string }{
			APILogged:  {"http_server_requests_logged_total", "", ""},
			APITraced:  {"http_server_requests_traced_total", "", ""},
			APISampled: {"http_server_requests_traced_total", "sampled", "true"},
		} {
			// A counter that has not counted is not shown, or is 0.
			value, _ := sum(families[of.family], of.label, of.value)
			all[counter] = append(all[counter], Reading{Instance: a.instance, Started: started, Value: value})
		}
	}
	return all, partial
}

// sum adds up the metrics of a family whose label has the value; an empty label
// takes all. It returns false where there is none.
func sum(f *dto.MetricFamily, label, value string) (float64, bool) {
	total, found := 0.0, false
	for _, m := range f.GetMetric() {
		fits := label == ""
		for _, l := range m.GetLabel() {
			fits = fits || l.GetName() == label && l.GetValue() == value
		}
		if !fits {
			continue
		}
		found = true
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return total, found
}

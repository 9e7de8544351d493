package slo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"pharos/watcher/document"
)

// file is an SLO of OpenSLO v1, and nothing else of it: an indicator stands in
// its objective's file. What is ours is below metricSource.spec, which OpenSLO
// leaves to the source, and in annotations.
// https://github.com/OpenSLO/OpenSLO#slo
type file struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name        string            `yaml:"name"`
		DisplayName string            `yaml:"displayName"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		Description string `yaml:"description"`
		Service     string `yaml:"service"`
		Indicator   struct {
			Metadata struct {
				Name        string `yaml:"name"`
				DisplayName string `yaml:"displayName"`
			} `yaml:"metadata"`
			Spec struct {
				Description string `yaml:"description"`
				Ratio       *struct {
					Counter bool    `yaml:"counter"`
					Good    *metric `yaml:"good"`
					Bad     *metric `yaml:"bad"`
					Total   *metric `yaml:"total"`
				} `yaml:"ratioMetric"`
				Threshold *metric `yaml:"thresholdMetric"`
			} `yaml:"spec"`
		} `yaml:"indicator"`
		TimeWindow []struct {
			Duration  string `yaml:"duration"`
			IsRolling bool   `yaml:"isRolling"`
		} `yaml:"timeWindow"`
		BudgetingMethod string `yaml:"budgetingMethod"`
		Objectives      []struct {
			DisplayName     string   `yaml:"displayName"`
			Op              Op       `yaml:"op"`
			Value           *float64 `yaml:"value"`
			Target          *float64 `yaml:"target"`
			TargetPercent   *float64 `yaml:"targetPercent"`
			TimeSliceTarget *float64 `yaml:"timeSliceTarget"`
			TimeSliceWindow string   `yaml:"timeSliceWindow"`
		} `yaml:"objectives"`
		AlertPolicies []string `yaml:"alertPolicies"`
	} `yaml:"spec"`
}

type metric struct {
	MetricSource metricSource `yaml:"metricSource"`
}

type metricSource struct {
	Type string `yaml:"type"`
	Spec spec   `yaml:"spec"`
}

// spec is what we need to count: see Source, Threshold and Uptime.
type spec struct {
	Index      string         `yaml:"index"`
	Query      map[string]any `yaml:"query"`
	Sum        string         `yaml:"sum"`
	Counters   []string       `yaml:"counters"`
	By         []string       `yaml:"by"`
	Average    string         `yaml:"average"`
	GroupBy    string         `yaml:"groupBy"`
	Components []struct {
		Name        string   `yaml:"name"`
		DisplayName string   `yaml:"displayName"`
		Monitors    []string `yaml:"monitors"`
		Need        string   `yaml:"need"`
	} `yaml:"components"`
}

// Our annotations, and the one alert policy there is.
const (
	annotationMinimum = "pharos/minimum-events"
	annotationBad     = "pharos/minimum-bad-events"
	annotationRunbook = "pharos/runbook"
	burnRatePolicy    = "burn-rate"
)

// Load reads all objectives of the *.yaml files in dir of from, ordered by file.
// The error holds every mistake of every file.
func Load(from fs.FS, dir string) ([]Objective, error) {
	names, err := fs.Glob(from, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("find objectives in %s: %w", dir, err)
	}
	var all []Objective
	var errs []error
	seen := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read objectives: %w", err))
			continue
		}
		objectives, err := Parse(name, text)
		if err != nil {
			errs = append(errs, err)
		}
		for _, o := range objectives {
			if other, ok := seen[o.Name]; ok {
				errs = append(errs, fmt.Errorf("%s: metadata.name: %q is already in %s", name, o.Name, other))
				continue
			}
			seen[o.Name] = name
			all = append(all, o)
		}
	}
	return all, errors.Join(errs...)
}

// Parse reads the objectives of one file, which may have several documents.
// Each mistake is an error of the form "file:line: path: reason"; all are
// joined.
func Parse(name string, text []byte) ([]Objective, error) {
	var all []Objective
	var errs []error
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var root yaml.Node
		if err := d.Decode(&root); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p := &parser{name: name, root: &root}
		o := p.objective()
		if len(p.errs) > 0 {
			errs = append(errs, p.errs...)
			continue
		}
		all = append(all, o)
	}
	if len(all) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: there is no objective in it", name))
	}
	return all, errors.Join(errs...)
}

type parser struct {
	name string
	root *yaml.Node
	file file
	errs []error
}

// fail notes a mistake at a path such as spec.objectives.0.target.
func (p *parser) fail(at, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %s: %s", p.name, lineOf(p.root, at), at, fmt.Sprintf(format, args...)))
}

// lineOf is the line of a path, or of the deepest part of it that is there.
func lineOf(n *yaml.Node, at string) int {
	for n.Kind == yaml.DocumentNode {
		n = n.Content[0]
	}
	line := n.Line
steps:
	for step := range strings.SplitSeq(at, ".") {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					line, n = n.Content[i].Line, n.Content[i+1]
					continue steps
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
				n = n.Content[i]
				line = n.Line
				continue steps
			}
		}
		break
	}
	return line
}

var aName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (p *parser) objective() Objective {
	// Only a decoder knows which keys are unknown, and only of text.
	text, err := yaml.Marshal(p.root)
	if err == nil {
		d := yaml.NewDecoder(strings.NewReader(string(text)))
		d.KnownFields(true)
		err = d.Decode(&p.file)
	}
	if err != nil {
		p.unreadable(err)
		return Objective{}
	}
	f := p.file
	if f.APIVersion != "openslo/v1" {
		p.fail("apiVersion", "want openslo/v1, found %q", f.APIVersion)
	}
	if f.Kind != "SLO" {
		p.fail("kind", "want SLO, found %q", f.Kind)
	}
	o := Objective{Name: f.Metadata.Name, Title: f.Metadata.DisplayName, Description: f.Spec.Description, Service: f.Spec.Service}
	if !aName.MatchString(o.Name) {
		p.fail("metadata.name", "want small letters, digits and single hyphens, found %q", o.Name)
	}
	if o.Title == "" {
		o.Title = o.Name
	}
	if o.Service == "" {
		p.fail("spec.service", "is missing")
	}
	p.annotations(&o)
	p.window(&o)
	p.target(&o)
	p.indicator(&o)
	p.policies(&o)
	return o
}

var (
	yamlLine    = regexp.MustCompile(`^line \d+: `)
	yamlUnknown = regexp.MustCompile(`^field (\S+) not found in type `)
)

// unreadable notes what the decoder says. Its lines are those of a text that was
// written anew; an unknown key's own is found by its name.
func (p *parser) unreadable(err error) {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		p.errs = append(p.errs, fmt.Errorf("%s: %w", p.name, err))
		return
	}
	for _, text := range types.Errors {
		text = yamlLine.ReplaceAllString(text, "")
		if m := yamlUnknown.FindStringSubmatch(text); m != nil {
			p.errs = append(p.errs, fmt.Errorf("%s:%d: %s: unknown key", p.name, lineOfKey(p.root, m[1]), m[1]))
			continue
		}
		p.errs = append(p.errs, fmt.Errorf("%s:%d: %s", p.name, p.root.Line, text))
	}
}

func lineOfKey(n *yaml.Node, key string) int {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == key {
			return child.Line
		}
		if line := lineOfKey(child, key); line > 0 {
			return line
		}
	}
	return 0
}

func (p *parser) annotations(o *Objective) {
	for key, value := range p.file.Metadata.Annotations {
		at := "metadata.annotations." + key
		switch key {
		case annotationMinimum, annotationBad:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 1 {
				p.fail(at, "want a whole number above 0, found %q", value)
			}
			if key == annotationBad {
				o.MinimumBad = n
			} else {
				o.MinimumEvents = n
			}
		case annotationRunbook:
			o.Runbook = value
		default:
			if strings.HasPrefix(key, "pharos/") {
				p.fail(at, "unknown; there are %s, %s and %s", annotationMinimum, annotationBad, annotationRunbook)
			}
		}
	}
}

func (p *parser) window(o *Objective) {
	w := p.file.Spec.TimeWindow
	if len(w) != 1 {
		p.fail("spec.timeWindow", "want exactly one, found %d", len(w))
		return
	}
	var n int
	var unit string
	if _, err := fmt.Sscanf(w[0].Duration, "%d%1s", &n, &unit); err != nil || n < 1 || unit != "d" && unit != "w" {
		p.fail("spec.timeWindow.0.duration", "want days or weeks, as in 30d or 4w, found %q", w[0].Duration)
		return
	}
	if !w[0].IsRolling {
		p.fail("spec.timeWindow.0.isRolling", "want true: calendar windows are not supported")
	}
	o.Window = time.Duration(n) * 24 * time.Hour
	if unit == "w" {
		o.Window *= 7
	}
	if o.Window > 400*24*time.Hour {
		p.fail("spec.timeWindow.0.duration", "longer than the 400 days that minutes are kept")
	}
}

func (p *parser) target(o *Objective) {
	objectives := p.file.Spec.Objectives
	if len(objectives) != 1 {
		p.fail("spec.objectives", "want exactly one, found %d", len(objectives))
		return
	}
	const at = "spec.objectives.0."
	switch j := objectives[0]; {
	case j.Target != nil && j.TargetPercent != nil:
		p.fail(at+"targetPercent", "target says it already")
	case j.Target != nil:
		o.Target = *j.Target
	case j.TargetPercent != nil:
		o.Target = *j.TargetPercent / 100
	default:
		p.fail("spec.objectives.0", "target is missing")
		return
	}
	if o.Target <= 0 || o.Target >= 1 {
		p.fail(at+"target", "want more than 0 and less than 1 (a target of 1 has no budget), found %v", o.Target)
	}
}

func (p *parser) policies(o *Objective) {
	switch policies := p.file.Spec.AlertPolicies; {
	case len(policies) == 0:
		o.Silent = true
	case len(policies) > 1 || policies[0] != burnRatePolicy:
		p.fail("spec.alertPolicies", "want [%s], or nothing for an objective that is only counted", burnRatePolicy)
	}
}

const indicatorAt = "spec.indicator.spec"

func (p *parser) indicator(o *Objective) {
	in := p.file.Spec.Indicator.Spec
	switch {
	case in.Ratio != nil && in.Threshold != nil:
		p.fail(indicatorAt, "want one of ratioMetric and thresholdMetric")
	case in.Ratio != nil:
		p.method("Occurrences")
		p.ratio(o)
	case in.Threshold != nil:
		p.method("Timeslices")
		p.timeslices()
		if in.Threshold.MetricSource.Type == "Heartbeat" {
			p.uptime(o, in.Threshold.MetricSource.Spec)
			return
		}
		p.threshold(o, *in.Threshold)
	default:
		p.fail(indicatorAt, "want ratioMetric or thresholdMetric")
	}
}

func (p *parser) method(want string) {
	if got := p.file.Spec.BudgetingMethod; got != want {
		p.fail("spec.budgetingMethod", "want %s for this indicator, found %q", want, got)
	}
}

// timeslices checks what Timeslices must say and can only say in one way here.
func (p *parser) timeslices() {
	for i, j := range p.file.Spec.Objectives {
		if j.TimeSliceWindow != "1m" {
			p.fail(fmt.Sprintf("spec.objectives.%d.timeSliceWindow", i), "want 1m, found %q", j.TimeSliceWindow)
		}
		if j.TimeSliceTarget != nil && *j.TimeSliceTarget != 1 {
			p.fail(fmt.Sprintf("spec.objectives.%d.timeSliceTarget", i), "want 1: a minute is good or bad")
		}
	}
}

func (p *parser) ratio(o *Objective) {
	in := p.file.Spec.Indicator.Spec.Ratio
	const at = indicatorAt + ".ratioMetric"
	if in.Total == nil || (in.Good == nil) == (in.Bad == nil) {
		p.fail(at, "want total, and one of good and bad")
		return
	}
	r := &Ratio{Total: p.source(at+".total", *in.Total), GroupBy: in.Total.MetricSource.Spec.GroupBy}
	part, name := in.Good, ".good"
	if in.Bad != nil {
		part, name = in.Bad, ".bad"
	}
	s := p.source(at+name, *part)
	if in.Good != nil {
		r.Good = &s
	} else {
		r.Bad = &s
	}
	if part.MetricSource.Spec.GroupBy != r.GroupBy {
		p.fail(at+name+".metricSource.spec", "groupBy must be the same as total's")
	}
	if r.GroupBy != "" && len(s.Counters)+len(r.Total.Counters) > 0 {
		p.fail(at+".total.metricSource.spec.groupBy", "can't be had of counters")
	}
	o.Indicator.Ratio = r
}

func (p *parser) source(at string, m metric) Source {
	at += ".metricSource"
	if m.MetricSource.Type != "Elasticsearch" {
		p.fail(at+".type", "want Elasticsearch, found %q", m.MetricSource.Type)
	}
	at += ".spec"
	in := m.MetricSource.Spec
	s := Source{Index: in.Index, Sum: in.Sum, Counters: in.Counters, By: in.By, Query: p.query(at, in)}
	if s.Sum != "" && len(s.Counters) > 0 {
		p.fail(at+".counters", "sum says another thing")
	}
	if (len(s.Counters) > 0) != (len(s.By) > 0) {
		p.fail(at, "counters and by (the fields that tell their series apart) belong together")
	}
	if in.Average != "" || len(in.Components) > 0 {
		p.fail(at, "average and components belong to thresholdMetric")
	}
	return s
}

// query reads a bool query, to which the window is added.
func (p *parser) query(at string, in spec) *document.Object {
	if in.Index == "" {
		p.fail(at, "index is missing")
	}
	v, err := document.From(in.Query)
	q, ok := document.At(v, "bool").(*document.Object)
	if err != nil || !ok || len(in.Query) != 1 {
		p.fail(at+".query", "want a bool query")
		return nil
	}
	if filter, ok := q.Get("filter"); ok {
		if _, isList := filter.([]any); !isList {
			p.fail(at+".query.bool.filter", "want a list")
		}
	}
	return v.(*document.Object)
}

func (p *parser) threshold(o *Objective, m metric) {
	const at = indicatorAt + ".thresholdMetric"
	t := &Threshold{Field: m.MetricSource.Spec.Average}
	m.MetricSource.Spec.Average = "" // the rest is a source's
	s := p.source(at, m)
	t.Index, t.Query = s.Index, s.Query
	if t.Field == "" {
		p.fail(at+".metricSource.spec", "average (a field) is missing")
	}
	for i, j := range p.file.Spec.Objectives {
		at := fmt.Sprintf("spec.objectives.%d", i)
		switch j.Op {
		case "lt", "lte", "gt", "gte":
			t.Op = j.Op
		default:
			p.fail(at+".op", "want lt, lte, gt or gte, found %q", j.Op)
		}
		if j.Value == nil {
			p.fail(at, "value is missing")
			continue
		}
		t.Value = *j.Value
	}
	o.Indicator.Threshold = t
}

func (p *parser) uptime(o *Objective, in spec) {
	const at = indicatorAt + ".thresholdMetric.metricSource.spec"
	u := &Uptime{Index: in.Index}
	if in.Index == "" {
		p.fail(at, "index is missing")
	}
	if len(in.Components) == 0 {
		p.fail(at, "components are missing")
	}
	for i, c := range in.Components {
		at := fmt.Sprintf("%s.components.%d", at, i)
		if !aName.MatchString(c.Name) {
			p.fail(at+".name", "want small letters, digits and single hyphens, found %q", c.Name)
		}
		if len(c.Monitors) == 0 {
			p.fail(at, "monitors are missing")
		}
		if c.Need != "any" && c.Need != "all" {
			p.fail(at+".need", "want any or all, found %q", c.Need)
		}
		title := c.DisplayName
		if title == "" {
			title = c.Name
		}
		u.Components = append(u.Components, Component{Name: c.Name, Title: title, Monitors: c.Monitors, NeedAll: c.Need == "all"})
	}
	o.Indicator.Uptime = u
}

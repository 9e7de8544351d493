// Package statuspage is the public status page: what state Pharos is in, in words
// that give nothing internal away, served from memory to any crowd, and still
// there when Elasticsearch is not.
package statuspage

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"pharos/slo"
	"pharos/slo/rollup"
)

//go:embed components.yaml
var shipped []byte

// Catalog is what the page shows, and from which objectives.
type Catalog struct {
	Components []Component
	// Response are the monitors whose answering times are drawn; none: no chart.
	Response []string
}

// Component is a part of Pharos as the public knows it.
type Component struct {
	Key     string // in status.json
	Name    string
	Measure string // what its share is a share of, as in "of minutes up"
	// Objective's minutes or events make its days, those of Part as By tells them
	// apart.
	Objective string
	By        rollup.By
	Part      string
	Budget    float64 // of the objective, a share
	// Own is down when the component is; nil: only its events tell. Needs are felt
	// when they are down.
	Own   *slo.Component
	Needs []slo.Component
}

// file is components.yaml.
type file struct {
	Response   string `yaml:"response"`
	Components []struct {
		Key       string   `yaml:"key"`
		Name      string   `yaml:"name"`
		Objective string   `yaml:"objective"`
		Part      string   `yaml:"part"`
		Measure   string   `yaml:"measure"`
		Needs     []string `yaml:"needs"`
	} `yaml:"components"`
}

// LoadCatalog reads a file of components, whose objectives must be among those
// given. Without a file it is the one that comes with Pharos, less what these
// objectives do not count.
func LoadCatalog(path string, objectives []slo.Objective) (Catalog, error) {
	if path == "" {
		c, err := parseCatalog(shipped, objectives, true)
		if err != nil {
			return c, fmt.Errorf("components.yaml: %w", err)
		}
		return c, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Catalog{}, fmt.Errorf("STATUS_COMPONENTS_FILE: %w", err)
	}
	c, err := parseCatalog(text, objectives, false)
	if err != nil {
		return c, fmt.Errorf("STATUS_COMPONENTS_FILE: %s: %w", path, err)
	}
	return c, nil
}

func parseCatalog(text []byte, objectives []slo.Objective, lenient bool) (Catalog, error) {
	var f file
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Catalog{}, err
	}
	var parts []slo.Component
	for _, o := range objectives {
		if o.Indicator.Uptime != nil {
			parts = append(parts, o.Indicator.Uptime.Components...)
		}
	}
	part := func(name string) *slo.Component {
		i := slices.IndexFunc(parts, func(c slo.Component) bool { return c.Name == name })
		if i < 0 {
			return nil
		}
		return &parts[i]
	}
	var c Catalog
	for _, in := range f.Components {
		if in.Key == "" || in.Name == "" || in.Measure == "" {
			return c, fmt.Errorf("component %q: key, name and measure are needed", in.Key)
		}
		if c.find(in.Key) >= 0 || c.find(in.Name) >= 0 {
			return c, fmt.Errorf("component %q: its key or name is there already", in.Key)
		}
		i := slices.IndexFunc(objectives, func(o slo.Objective) bool { return o.Name == in.Objective })
		if i < 0 && lenient {
			continue
		}
		if i < 0 {
			return c, fmt.Errorf("component %q: there is no objective %q", in.Key, in.Objective)
		}
		o := objectives[i]
		one := Component{Key: in.Key, Name: in.Name, Measure: in.Measure, Objective: o.Name, Part: in.Part, Budget: o.Budget()}
		switch {
		case in.Part != "" && o.Indicator.Uptime != nil:
			one.By, one.Own = rollup.ByComponent, part(in.Part)
			if one.Own == nil {
				return c, fmt.Errorf("component %q: objective %s has no component %q", in.Key, o.Name, in.Part)
			}
		case in.Part != "":
			one.By = rollup.ByGroup
		}
		for _, name := range in.Needs {
			switch need := part(name); {
			case need != nil:
				one.Needs = append(one.Needs, *need)
			case !lenient:
				return c, fmt.Errorf("component %q: no uptime objective has a component %q", in.Key, name)
			}
		}
		c.Components = append(c.Components, one)
	}
	if f.Response != "" {
		switch p := part(f.Response); {
		case p != nil:
			c.Response = p.Monitors
		case !lenient:
			return c, fmt.Errorf("response: no uptime objective has a component %q", f.Response)
		}
	}
	return c, nil
}

// find is the place of the component of a key or name, however it is written; -1
// if there is none.
func (c Catalog) find(name string) int {
	return slices.IndexFunc(c.Components, func(one Component) bool {
		return strings.EqualFold(one.Key, name) || strings.EqualFold(one.Name, name)
	})
}

// names are those of components that the public knows; what else is named is
// left out.
func (c Catalog) names(components []string) []string {
	names := []string{}
	for _, name := range components {
		if i := c.find(strings.TrimSpace(name)); i >= 0 && !slices.Contains(names, c.Components[i].Name) {
			names = append(names, c.Components[i].Name)
		}
	}
	return names
}

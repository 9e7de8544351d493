// Command sbom lists what Pharos is made of: the Go modules, the npm packages of
// the console's pages, and the servers that a run fetches. It finds each licence
// in the files that were downloaded, and fails for one that is not allowed.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/licensecheck"
)

// allowed are the licences under which somebody else's work may be built in:
// those that ask for their text and name to be kept, and MPL-2.0, which asks for
// changes to its own files to be shown.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

// part is one thing that is not ours.
type part struct {
	kind          cdx.ComponentType
	name, version string
	purl          string
	licences      []string
	hash          *cdx.Hash
	shipped       bool // in what users run; else only tests or builds need it
	apart         bool // a program of its own that is fetched and run, never built in
}

func main() {
	root := flag.String("root", ".", "the repository's folder")
	out := flag.String("out", "", "where the list goes, as CycloneDX JSON; empty: licences are checked only")
	version := flag.String("version", "dev", "the version of Pharos")
	flag.Parse()
	if err := run(*root, *out, *version); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(root, out, version string) error {
	parts, err := modules(root)
	if err != nil {
		return err
	}
	packages, err := npm(filepath.Join(root, "console", "assets", "package-lock.json"))
	if err != nil {
		return err
	}
	servers, err := fetched(root)
	if err != nil {
		return err
	}
	parts = slices.Concat(parts, packages, servers)
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.purl, b.purl) })
	checked, err := judge(parts)
	if err != nil {
		return err
	}
	fmt.Printf("licences: %d parts are built in or test us, all under %s\n", checked, strings.Join(used(parts), ", "))
	if out == "" {
		return nil
	}
	return write(out, version, parts)
}

// judge counts the parts that are built in or test us; each that has no licence,
// or one that is not allowed, is named in the error.
func judge(parts []part) (int, error) {
	var faults []error
	checked := 0
	for _, p := range parts {
		if p.apart {
			continue
		}
		checked++
		if len(p.licences) == 0 {
			faults = append(faults, fmt.Errorf("%s %s: no licence was found in its files", p.name, p.version))
		}
		for _, l := range p.licences {
			if !slices.Contains(allowed, l) {
				faults = append(faults, fmt.Errorf("%s %s: the licence %s is not on the list of those allowed", p.name, p.version, l))
			}
		}
	}
	return checked, errors.Join(faults...)
}

func used(parts []part) []string {
	var all []string
	for _, p := range parts {
		if !p.apart {
			all = append(all, p.licences...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// modules lists the Go modules of all packages and their tests; those that our
// programs are built from are shipped.
func modules(root string) ([]part, error) {
	shipped, err := list(root, "./cmd/...")
	if err != nil {
		return nil, err
	}
	all, err := list(root, "-test", "./...")
	if err != nil {
		return nil, err
	}
	var parts []part
	for path, m := range all {
		_, ships := shipped[path]
		licences, err := licencesIn(m.Dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		parts = append(parts, part{kind: cdx.ComponentTypeLibrary, name: path, version: m.Version, purl: "pkg:golang/" + path + "@" + m.Version, licences: licences, shipped: ships})
	}
	return parts, nil
}

type module struct{ Path, Version, Dir string }

func list(root string, args ...string) (map[string]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, args...)...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var p struct {
			Module *struct {
				module
				Main    bool
				Replace *module
			}
		}
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue // Go's own, or ours
		}
		m := p.Module.module
		if p.Module.Replace != nil {
			m = *p.Module.Replace
		}
		found[m.Path] = m
	}
	return found, nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-.].*)?$`)

// enough is how much of a file must be a licence's words, in percent. Names of
// holders and headings are the rest.
const enough = 60

// licencesIn reads the licence files at the root of a module.
func licencesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if c := licensecheck.Scan(text); c.Percent >= enough {
			for _, m := range c.Match {
				found = append(found, m.ID)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// npm lists the packages of a lock file, with the licences that it names.
func npm(lock string) ([]part, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var l struct {
		Packages map[string]struct {
			Version, License string
			Dev              bool
		}
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	var parts []part
	for path, p := range l.Packages {
		if path == "" {
			continue // ours
		}
		name := path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
		parts = append(parts, part{
			kind: cdx.ComponentTypeLibrary, name: name, version: p.Version, purl: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version,
			licences: strings.FieldsFunc(strings.NewReplacer("(", " ", ")", " ", " OR ", " ", " AND ", " ").Replace(p.License), func(r rune) bool { return r == ' ' }), shipped: !p.Dev,
		})
	}
	return parts, nil
}

var (
	image    = regexp.MustCompile(`(?m)^\s+image: ([\w./-]+):\$\{\w+:-([\w.-]+)\}`)
	constant = regexp.MustCompile(`(?m)^readonly (\w+)=(\S+)$`)
)

// fetched lists the servers: the images of docker-compose.yml, and what the native
// run downloads, by the sums that dev/lib/bootstrap.sh holds it against.
func fetched(root string) ([]part, error) {
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		return nil, err
	}
	bootstrap, err := os.ReadFile(filepath.Join(root, "dev", "lib", "bootstrap.sh"))
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, m := range image.FindAllStringSubmatch(string(compose), -1) {
		parts = append(parts, part{kind: cdx.ComponentTypeContainer, name: m[1], version: m[2], purl: "pkg:docker/" + m[1] + "@" + m[2], shipped: true, apart: true})
	}
	values := map[string]string{}
	for _, m := range constant.FindAllStringSubmatch(string(bootstrap), -1) {
		values[m[1]] = m[2]
	}
	sum := func(name string) *cdx.Hash { return &cdx.Hash{Algorithm: cdx.HashAlgoSHA256, Value: values[name]} }
	group := strings.Split(values["ELASTICSEARCH_ARTIFACT"], ":")
	wheel := strings.Split(values["MONGOD_PACKAGE"], "==")
	if len(group) != 4 || len(wheel) != 2 {
		return nil, errors.New("dev/lib/bootstrap.sh does not say what the native run downloads")
	}
	return append(parts,
		part{kind: cdx.ComponentTypeApplication, name: group[1], version: group[2], purl: "pkg:maven/" + group[0] + "/" + group[1] + "@" + group[2], hash: sum("ELASTICSEARCH_SHA256"), apart: true},
		part{kind: cdx.ComponentTypeApplication, name: wheel[0], version: wheel[1], purl: "pkg:pypi/" + wheel[0] + "@" + wheel[1], hash: sum("MONGOD_SHA256"), apart: true},
	), nil
}

func write(out, version string, parts []part) error {
	components := []cdx.Component{}
	seen := map[string]bool{}
	for _, p := range parts {
		if seen[p.purl] {
			continue
		}
		seen[p.purl] = true
		c := cdx.Component{BOMRef: p.purl, Type: p.kind, Name: p.name, Version: p.version, PackageURL: p.purl, Scope: cdx.ScopeExcluded}
		if p.shipped {
			c.Scope = cdx.ScopeRequired
		}
		var licences cdx.Licenses
		for _, id := range p.licences {
			licences = append(licences, cdx.LicenseChoice{License: &cdx.License{ID: id}})
		}
		if len(licences) > 0 {
			c.Licenses = &licences
		}
		if p.hash != nil {
			c.Hashes = &[]cdx.Hash{*p.hash}
		}
		components = append(components, c)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp: time.Now().UTC().Format(time.RFC3339),
		Component: &cdx.Component{BOMRef: "pharos", Type: cdx.ComponentTypeApplication, Name: "pharos", Version: cmp.Or(version, "dev")},
	}
	bom.Components = &components
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	err = cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	fmt.Printf("%s: %d components, CycloneDX %s\n", out, len(components), bom.SpecVersion)
	return nil
}

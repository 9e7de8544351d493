package elastic

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Each file is one object of Elasticsearch, named as the file.
//
//go:embed scripts pipelines components templates roles
var files embed.FS

// where tells which of the two kinds of Elasticsearch an object is for.
type where string

const (
	everywhere where = ""
	native     where = "native" // our own intake, no Kibana
	stack      where = "stack"  // Kibana and APM Server beside it
)

func (w where) in(stackRun bool) bool { return w == everywhere || (w == stack) == stackRun }

// kind is a kind of object: where its files are and how Elasticsearch is asked
// for it.
type kind struct {
	name   string // as people say it
	folder string
	path   string // of the API, the object's name comes after it
	// stored finds the object in the answer to GET.
	stored func(name string, answer map[string]json.RawMessage) (json.RawMessage, error)
}

// kinds are in the order in which they build on each other.
func kinds() []kind {
	return []kind{
		{"script", "scripts", "/_scripts/", storedScript},
		{"ingest pipeline", "pipelines", "/_ingest/pipeline/", storedByName},
		{"component template", "components", "/_component_template/", storedIn("component_templates", "component_template")},
		{"index template", "templates", "/_index_template/", storedIn("index_templates", "index_template")},
		{"role", "roles", "/_security/role/", storedByName},
	}
}

// object is one file, ready to be sent.
type object struct {
	kind
	name string
	body json.RawMessage
	mark mark
}

// mark is what Pharos writes into the metadata of its objects.
type mark struct {
	ManagedBy string `json:"managed_by"`
	Only      where  `json:"only,omitempty"`
}

const manager = "pharos"

// loadObjects reads the objects of one kind of Elasticsearch, in the order in
// which they are to be sent.
func loadObjects(from fs.FS, inStack bool) ([]object, error) {
	var all []object
	for _, k := range kinds() {
		entries, err := fs.ReadDir(from, k.folder)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", k.folder, err)
		}
		for _, e := range entries {
			o, err := loadObject(from, k, e.Name())
			if err != nil {
				return nil, err
			}
			if o.mark.Only.in(inStack) {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

func loadObject(from fs.FS, k kind, file string) (object, error) {
	content, err := fs.ReadFile(from, path.Join(k.folder, file))
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w", k.name, err)
	}
	o := object{kind: k, name: strings.TrimSuffix(file, path.Ext(file))}
	if path.Ext(file) == ".painless" {
		o.body, err = json.Marshal(map[string]any{"script": map[string]string{"lang": "painless", "source": string(content)}})
	} else {
		o.body = content
		o.mark, err = markOf(content)
	}
	if err != nil {
		return object{}, fmt.Errorf("%s %s: %w", k.name, o.name, err)
	}
	return o, nil
}

// markOf reads the mark of a body; roles keep theirs under another name.
func markOf(body json.RawMessage) (mark, error) {
	var b struct {
		Meta     mark `json:"_meta"`
		Metadata mark `json:"metadata"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return mark{}, fmt.Errorf("decode: %w", err)
	}
	if b.Metadata.ManagedBy != "" {
		return b.Metadata, nil
	}
	return b.Meta, nil
}

func storedByName(name string, answer map[string]json.RawMessage) (json.RawMessage, error) {
	body, ok := answer[name]
	if !ok {
		return nil, fmt.Errorf("the answer lacks %s", name)
	}
	return body, nil
}

func storedScript(name string, answer map[string]json.RawMessage) (json.RawMessage, error) {
	return storedByName("script", answer)
}

func storedIn(list, item string) func(string, map[string]json.RawMessage) (json.RawMessage, error) {
	return func(name string, answer map[string]json.RawMessage) (json.RawMessage, error) {
		var found []map[string]json.RawMessage
		if err := json.Unmarshal(answer[list], &found); err != nil {
			return nil, err
		}
		for _, f := range found {
			if string(f["name"]) == `"`+name+`"` {
				return f[item], nil
			}
		}
		return nil, fmt.Errorf("the answer lacks %s", name)
	}
}

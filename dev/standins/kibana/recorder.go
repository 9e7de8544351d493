package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// recorder is the part of Kibana's API that set-ups use, over what they left.
type recorder struct {
	signIn func(ctx context.Context, user, password string) error
	mux    *http.ServeMux

	mu     sync.Mutex
	spaces map[string]json.RawMessage
	// objects and rules by space, then by type/id or id.
	objects map[string]map[string]object
	rules   map[string]map[string]json.RawMessage
}

// object is a saved object as one line of an export has it.
type object struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Attributes json.RawMessage `json:"attributes"`
	References []reference     `json:"references"`
	Core       string          `json:"coreMigrationVersion,omitempty"`
	Version    string          `json:"typeMigrationVersion,omitempty"`
}

type reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

func (o object) key() string { return o.Type + "/" + o.ID }

// importable are the types that Kibana 8 imports and that a set-up has a use for.
func importable(kind string) bool {
	return slices.Contains([]string{"config", "dashboard", "index-pattern", "lens", "map", "search", "tag", "url", "visualization"}, kind)
}

func newRecorder(signIn func(ctx context.Context, user, password string) error) *recorder {
	r := &recorder{
		signIn:  signIn,
		mux:     http.NewServeMux(),
		spaces:  map[string]json.RawMessage{"default": json.RawMessage(`{"id":"default","name":"Default"}`)},
		objects: map[string]map[string]object{},
		rules:   map[string]map[string]json.RawMessage{},
	}
	r.mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"name": "kibana stand-in", "version": map[string]any{"number": "8.19.13", "build_flavor": "traditional"},
			"status": map[string]any{"overall": map[string]any{"level": "available", "summary": "All services are available"}},
		})
	})
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /api/spaces/space":                r.listSpaces,
		"GET /api/spaces/space/{id}":           r.getSpace,
		"POST /api/spaces/space":               r.makeSpace,
		"PUT /api/spaces/space/{id}":           r.makeSpace,
		"POST /api/saved_objects/_import":      r.importObjects,
		"POST /api/saved_objects/_export":      r.exportObjects,
		"GET /api/alerting/rule/{id}":          r.getRule,
		"POST /api/alerting/rule/{id}":         r.putRule(false),
		"PUT /api/alerting/rule/{id}":          r.putRule(true),
		"POST /api/alerting/rule/{id}/_enable": r.getRule,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		r.mux.HandleFunc(pattern, r.guarded(handle))
		r.mux.HandleFunc(method+" /s/{space}"+path, r.guarded(handle))
	}
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// guarded refuses who is not signed in, a change without the header kbn-xsrf,
// and a space that is not there.
func (r *recorder) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		user, password, ok := req.BasicAuth()
		if !ok || r.signIn(req.Context(), user, password) != nil {
			refuse(w, http.StatusUnauthorized, "unable to authenticate user")
			return
		}
		if req.Method != http.MethodGet && req.Header.Get("kbn-xsrf") == "" {
			refuse(w, http.StatusBadRequest, "Request must contain a kbn-xsrf header.")
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, ok := r.spaces[space(req)]; !ok {
			refuse(w, http.StatusNotFound, "Saved object [space/"+space(req)+"] not found")
			return
		}
		next(w, req)
	}
}

func space(req *http.Request) string {
	if id := req.PathValue("space"); id != "" {
		return id
	}
	return "default"
}

func (r *recorder) listSpaces(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, slices.Collect(maps.Values(r.spaces)))
}

func (r *recorder) getSpace(w http.ResponseWriter, req *http.Request) {
	found, ok := r.spaces[req.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	answer(w, http.StatusOK, found)
}

func (r *recorder) makeSpace(w http.ResponseWriter, req *http.Request) {
	var body json.RawMessage
	var s struct{ ID, Name string }
	if json.NewDecoder(req.Body).Decode(&body) != nil || json.Unmarshal(body, &s) != nil || s.ID == "" || s.Name == "" {
		refuse(w, http.StatusBadRequest, "[request body.id]: expected value of type [string]")
		return
	}
	if _, ok := r.spaces[s.ID]; ok && req.Method == http.MethodPost {
		refuse(w, http.StatusConflict, "A space with the identifier "+s.ID+" already exists.")
		return
	}
	r.spaces[s.ID] = body
	answer(w, http.StatusOK, body)
}

func (r *recorder) getRule(w http.ResponseWriter, req *http.Request) {
	rule, ok := r.rules[space(req)][req.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "Saved object [alert/"+req.PathValue("id")+"] not found")
		return
	}
	answer(w, http.StatusOK, rule)
}

// putRule makes a rule, or changes one that is there.
func (r *recorder) putRule(there bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest, "[request body]: "+err.Error())
			return
		}
		wanted := []string{"name", "schedule", "params"}
		if !there {
			wanted = append(wanted, "rule_type_id", "consumer")
		}
		for _, field := range wanted {
			if body[field] == nil {
				refuse(w, http.StatusBadRequest, "[request body."+field+"]: expected a value")
				return
			}
		}
		id := req.PathValue("id")
		_, known := r.rules[space(req)][id]
		switch {
		case there && !known:
			refuse(w, http.StatusNotFound, "Saved object [alert/"+id+"] not found")
			return
		case !there && known:
			refuse(w, http.StatusConflict, "Saved object [alert/"+id+"] conflict")
			return
		}
		body["id"] = id
		rule, err := json.Marshal(body)
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		if r.rules[space(req)] == nil {
			r.rules[space(req)] = map[string]json.RawMessage{}
		}
		r.rules[space(req)][id] = rule
		answer(w, http.StatusOK, json.RawMessage(rule))
	}
}

// importObjects is all or nothing for a file that cannot be read, and object by
// object for the rest, as Kibana's import is.
func (r *recorder) importObjects(w http.ResponseWriter, req *http.Request) {
	file, header, err := req.FormFile("file")
	if err != nil {
		refuse(w, http.StatusBadRequest, "[request body.file]: "+err.Error())
		return
	}
	defer func() { _ = file.Close() }()
	if !strings.HasSuffix(header.Filename, ".ndjson") {
		refuse(w, http.StatusBadRequest, "Invalid file extension "+header.Filename)
		return
	}
	objects, err := readObjects(file)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	have := r.objects[space(req)]
	if have == nil {
		have = map[string]object{}
		r.objects[space(req)] = have
	}
	overwrite := req.URL.Query().Get("overwrite") == "true"
	inFile := map[string]bool{}
	for _, o := range objects {
		inFile[o.key()] = true
	}
	var done, failed []any
	for _, o := range objects {
		_, known := have[o.key()]
		fault := o.check()
		switch missing := o.missing(inFile, have); {
		case fault != "":
			failed = append(failed, o.failure(map[string]any{"type": "unknown", "message": fault, "statusCode": http.StatusBadRequest}))
		case !importable(o.Type):
			failed = append(failed, o.failure(map[string]any{"type": "unsupported_type"}))
		case len(missing) > 0:
			failed = append(failed, o.failure(map[string]any{"type": "missing_references", "references": missing}))
		case known && !overwrite:
			failed = append(failed, o.failure(map[string]any{"type": "conflict"}))
		default:
			have[o.key()] = o
			done = append(done, map[string]any{"type": o.Type, "id": o.ID, "managed": false, "overwrite": known, "meta": map[string]any{"title": o.title()}})
		}
	}
	result := map[string]any{"success": len(failed) == 0, "successCount": len(done), "warnings": []any{}}
	if len(done) > 0 {
		result["successResults"] = done
	}
	if len(failed) > 0 {
		result["errors"] = failed
	}
	answer(w, http.StatusOK, result)
}

// readObjects reads an export. Its last line may tell what was exported.
func readObjects(file io.Reader) ([]object, error) {
	var objects []object
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || bytes.HasPrefix(line, []byte(`{"exportedCount"`)) || bytes.HasPrefix(line, []byte(`{"excludedObjects"`)) {
			continue
		}
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if o.Type == "" || o.ID == "" || len(o.Attributes) == 0 {
			return nil, fmt.Errorf("line %d: type, id or attributes is missing", n)
		}
		objects = append(objects, o)
	}
	return objects, lines.Err()
}

// check returns what is wrong with an object in itself: fields that hold JSON as
// text must, and a reference that a data view of a panel names must be there.
func (o object) check() string {
	var attributes map[string]any
	if err := json.Unmarshal(o.Attributes, &attributes); err != nil {
		return "attributes: " + err.Error()
	}
	for _, name := range []string{"panelsJSON", "optionsJSON", "fieldFormatMap", "runtimeFieldMap", "fieldAttrs"} {
		if text, ok := attributes[name].(string); ok && !json.Valid([]byte(text)) {
			return name + " is no JSON"
		}
	}
	names := map[string]bool{}
	for _, ref := range o.References {
		if ref.Name == "" || names[ref.Name] {
			return "a reference has no name of its own: " + ref.Name
		}
		names[ref.Name] = true
	}
	return ""
}

// missing returns the references to what is neither in the file nor stored.
func (o object) missing(inFile map[string]bool, have map[string]object) []reference {
	var missing []reference
	for _, ref := range o.References {
		key := ref.Type + "/" + ref.ID
		if _, ok := have[key]; !ok && !inFile[key] {
			missing = append(missing, reference{Type: ref.Type, ID: ref.ID})
		}
	}
	return missing
}

func (o object) title() string {
	var a struct{ Title, Name string }
	_ = json.Unmarshal(o.Attributes, &a) // checked; a title of another type is none
	return a.Title + a.Name
}

func (o object) failure(reason map[string]any) map[string]any {
	return map[string]any{"type": o.Type, "id": o.ID, "title": o.title(), "meta": map[string]any{"title": o.title()}, "error": reason}
}

func (r *recorder) exportObjects(w http.ResponseWriter, req *http.Request) {
	var wanted struct {
		Type []string `json:"type"`
	}
	if err := json.NewDecoder(req.Body).Decode(&wanted); err != nil || len(wanted.Type) == 0 {
		refuse(w, http.StatusBadRequest, "Either `type` or `objects` are required.")
		return
	}
	w.Header().Set("Content-Type", "application/ndjson")
	encoder := json.NewEncoder(w)
	count := 0
	have := r.objects[space(req)]
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if slices.Contains(wanted.Type, have[key].Type) {
			_ = encoder.Encode(have[key]) // to a client that may have gone
			count++
		}
	}
	_ = encoder.Encode(map[string]any{"exportedCount": count, "missingRefCount": 0, "missingReferences": []any{}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // to a client that may have gone
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message})
}

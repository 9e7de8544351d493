package openapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"pharos/feed"
	"pharos/internal/fault"
	"pharos/internal/idempotency"
	"pharos/shop"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(YAML())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func parse(t *testing.T) *Document {
	t.Helper()
	d, err := Parse()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDocumentIsValid holds the document to OpenAPI's own rules, and its
// examples to its schemas.
func TestDocumentIsValid(t *testing.T) {
	if err := load(t).Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

func TestJSONIsTheSameDocument(t *testing.T) {
	text, err := parse(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(fromJSON)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(load(t))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("openapi.json differs from openapi.yaml")
	}
	if !strings.HasPrefix(string(text), "{\n  \"openapi\": \"3.1.0\"") {
		t.Errorf("begins with %.60s", text)
	}
}

// TestEveryOperationIsWhole looks for what a reader would miss.
func TestEveryOperationIsWhole(t *testing.T) {
	d := parse(t)
	var tags, ids []string
	for _, tag := range d.Tags {
		tags = append(tags, tag.Name)
	}
	for _, op := range d.Operations {
		if op.ID == "" || slices.Contains(ids, op.ID) || op.Summary == "" || len(op.Tags) != 1 || !slices.Contains(tags, op.Tags[0]) {
			t.Errorf("%s %s: id %q, summary %q, tags %q", op.Method, op.Path, op.ID, op.Summary, op.Tags)
		}
		ids = append(ids, op.ID)
		for _, p := range op.Parameters {
			if p.Description == "" || p.Example.node == nil {
				t.Errorf("%s %s: parameter %s has no description or example", op.Method, op.Path, p.Name)
			}
		}
		if op.Body != nil {
			for name, media := range op.Body.Content.All {
				if media.Sample().node == nil {
					t.Errorf("%s %s: no example of a body as %s", op.Method, op.Path, name)
				}
			}
		}
		for status, r := range op.Responses.All {
			for name, media := range r.Content.All {
				if strings.HasSuffix(name, "json") && name != "application/json" && media.Sample().node == nil {
					t.Errorf("%s %s: no example of %s", op.Method, op.Path, status)
				}
			}
		}
	}
}

// TestLimitsAreTheCodes holds the numbers of the document to the constants.
func TestLimitsAreTheCodes(t *testing.T) {
	doc := load(t)
	schema := func(name string, fields ...string) *openapi3.Schema {
		s := doc.Components.Schemas[name].Value
		for _, field := range fields {
			s = s.Properties[field].Value
		}
		return s
	}
	limit := doc.Components.Parameters["Limit"].Value.Schema.Value
	key := doc.Components.Parameters["IdempotencyKey"].Value
	batch := doc.Paths.Value("/v1/events").Post.RequestBody.Value.Content["application/cloudevents-batch+json"].Schema.Value
	for name, pair := range map[string][2]uint64{
		"limit":         {uint64(*limit.Max), feed.MaxLimit},
		"default limit": {uint64(limit.Default.(float64)), feed.DefaultLimit},
		"page":          {*schema("FeedPage", "items").MaxItems, feed.MaxLimit},
		"requests":      {*schema("RequestPage", "items").MaxItems, feed.MaxLimit},
		"text":          {*schema("NewPost", "text").MaxLength, feed.MaxText},
		"name":          {*schema("SignUp", "name").MaxLength, feed.MaxName},
		"password":      {schema("SignUp", "password").MinLength, feed.MinPassword},
		"long password": {*schema("SignUp", "password").MaxLength, feed.MaxPassword},
		"batch":         {*batch.MaxItems, shop.MaxBatch},
		"results":       {*schema("EventResults", "items").MaxItems, shop.MaxBatch},
		"key":           {*key.Schema.Value.MaxLength, idempotency.MaxKey},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d in the document, %d in the code", name, pair[0], pair[1])
		}
	}
	if key.Name != idempotency.Header {
		t.Errorf("the document has %s", key.Name)
	}
	var scopes []feed.Scope
	for _, v := range schema("Scope").Enum {
		scopes = append(scopes, feed.Scope(v.(string)))
	}
	if !slices.Equal(scopes, feed.Scopes()) {
		t.Errorf("scopes %q, want %q", scopes, feed.Scopes())
	}
	var types []string
	for _, v := range schema("CloudEvent", "type").Enum {
		types = append(types, v.(string))
	}
	if !slices.Equal(types, shop.Types()) {
		t.Errorf("types of events: %q, want %q", types, shop.Types())
	}
}

// TestCatalogueIsComplete holds the catalogue of problems to the codes.
func TestCatalogueIsComplete(t *testing.T) {
	known := fault.Codes()
	var listed []fault.Code
	for _, p := range parse(t).Problems {
		code := fault.Code(p.Code)
		if slices.Contains(listed, code) || p.Cause == "" || p.Cure == "" || !slices.Contains([]string{"no", "later", "changed"}, p.Retry) {
			t.Errorf("entry %+v", p)
		}
		listed = append(listed, code)
		if ours := slices.Contains(known, code); ours == (p.Status != 0) || ours == (p.Title != "") {
			t.Errorf("%s: only a problem of nginx's own has a status and title here: %d %q", code, p.Status, p.Title)
		}
	}
	for _, code := range known {
		if !slices.Contains(listed, code) {
			t.Errorf("the catalogue lacks %s", code)
		}
	}
	for _, op := range parse(t).Operations {
		for status, r := range op.Responses.All {
			for name, media := range r.Content.All {
				if name != fault.ContentType {
					continue
				}
				var p fault.Problem
				text, err := media.Example.JSON()
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(text), &p); err != nil {
					t.Fatal(err)
				}
				if f := p.Fault(); f.Title() != p.Title || !slices.Contains(known, f.Code) {
					t.Errorf("%s %s: the example of %s is %+v", op.Method, op.Path, status, p)
				}
			}
		}
	}
}

func TestFieldsOfNestedObjects(t *testing.T) {
	for _, op := range parse(t).Operations {
		if op.ID != "readFeed" {
			continue
		}
		var names []string
		for _, f := range op.Responses[0].value.Content[0].value.Schema.Fields() {
			names = append(names, f.Name+" "+f.Type)
		}
		want := "items array of objects, items[].id UUID, items[].author object, items[].author.id UUID, items[].author.handle string, items[].author.name string, items[].text string, items[].created_at time, next_cursor string, degraded array of strings"
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("got %s", got)
		}
	}
}

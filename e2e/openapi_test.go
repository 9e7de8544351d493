package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"pharos/api/openapi"
	"pharos/internal/fault"
)

// document validates what is sent and answered against the API's document:
//
//   - an answer must be documented, and have the status, the headers and the
//     body that the document says;
//   - a request that was answered with success must be one that the document
//     allows;
//   - what the document does not have is answered with a problem, 404 or 405, or
//     what OPTIONS asks for.
type document struct {
	http.RoundTripper

	router   routers.Router
	problems routers.Route // for paths that the document does not have
}

// loadDocument reads the document once for all tests.
var loadDocument = sync.OnceValues(func() (*document, error) {
	openapi3filter.RegisterBodyDecoder("application/cloudevents-batch+json", openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/cloudevents+json", openapi3filter.JSONBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(openapi.YAML())
	if err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &document{RoundTripper: http.DefaultTransport, router: router, problems: anyProblem(doc)}, nil
})

// anyProblem is a route whose answers are a problem for 400, 404, 405 and 413.
func anyProblem(doc *openapi3.T) routers.Route {
	responses := openapi3.NewResponses()
	problem := doc.Components.Responses["NotFound"]
	for _, status := range []string{"400", "404", "405", "413", "429"} {
		responses.Set(status, problem)
	}
	return routers.Route{Spec: doc, PathItem: &openapi3.PathItem{}, Operation: &openapi3.Operation{Responses: responses}}
}

// RoundTrip implements http.RoundTripper.
func (d *document) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := d.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	plain := got
	if resp.Header.Get("Content-Encoding") == "gzip" { // the test has asked for it itself
		if plain, err = unpacked(got); err != nil {
			return nil, err
		}
	}
	if err := d.check(req, sent, resp, plain); err != nil {
		return nil, fmt.Errorf("not as the document says: %d %.500s: %w", resp.StatusCode, got, err)
	}
	return resp, nil
}

func unpacked(body []byte) ([]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}

func (d *document) check(req *http.Request, sent []byte, resp *http.Response, got []byte) error {
	asked := req.Clone(req.Context())
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	if req.Method == http.MethodHead {
		asked.Method = http.MethodGet
	}
	route, params, err := d.router.FindRoute(asked)
	switch {
	case err != nil && req.Method == http.MethodOptions && resp.StatusCode == http.StatusNoContent:
		return nil
	case errors.Is(err, routers.ErrMethodNotAllowed):
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
			return fmt.Errorf("an undocumented method, Allow: %q", resp.Header.Get("Allow"))
		}
		route = &d.problems
	case err != nil:
		route = &d.problems
	}
	in := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if resp.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			return fmt.Errorf("a request was taken that the document does not allow: %w", err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
	if req.Method == http.MethodHead {
		options := *in.Options
		options.ExcludeResponseBody = true
		out.Options = &options
	}
	return openapi3filter.ValidateResponse(req.Context(), out.SetBodyBytes(got))
}

// TestDocumentIsBelieved shows that the validation finds what is wrong.
func TestDocumentIsBelieved(t *testing.T) {
	d, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	const id = "X-Request-Id"
	problem := `{"type":"/problems/not-found","title":"x","status":404,"detail":"x","request_id":"1"}`
	for name, tt := range map[string]struct {
		method, path, sent string
		status             int
		header             []string
		got                string
		want               string // part of the error; "" for none
	}{
		"good":                {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "application/json"}, `{"task":"factorial","n":3,"value":"6"}`, ""},
		"good page":           {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "text/html; charset=utf-8"}, `<p>`, ""},
		"good head":           {"HEAD", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "application/json"}, "", ""},
		"no parameter":        {"GET", "/tasks/factorial", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "application/json"}, `{"task":"factorial","n":3,"value":"6"}`, "parameter"},
		"odd type":            {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "text/plain"}, `6`, "Content-Type"},
		"odd value":           {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "application/json"}, `{"task":"factorial","n":3,"value":6}`, "value"},
		"no value":            {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Cache-Control", "no-cache", "Vary", "Accept", "Content-Type", "application/json"}, `{"task":"factorial","n":3}`, "value"},
		"no header":           {"GET", "/tasks/factorial?n=3", "", 200, []string{id, "1", "Vary", "Accept", "Content-Type", "application/json"}, `{"task":"factorial","n":3,"value":"6"}`, "Cache-Control"},
		"undocumented status": {"GET", "/tasks/factorial?n=3", "", 418, []string{id, "1"}, "", "status"},
		"odd 429":             {"GET", "/tasks/factorial?n=3", "", 429, []string{id, "1", "Cache-Control", "no-store", "Content-Type", fault.ContentType}, strings.ReplaceAll(problem, "404", "429"), "Retry-After"},
		"no such path":        {"GET", "/none", "", 404, []string{id, "1", "Cache-Control", "no-store", "Content-Type", fault.ContentType}, problem, ""},
		"a path not told of":  {"GET", "/none", "", 200, []string{id, "1"}, "x", "status"},
		"method":              {"PATCH", "/v1/feed", "", 405, []string{id, "1", "Allow", "GET", "Cache-Control", "no-store", "Content-Type", fault.ContentType}, problem, ""},
		"no Allow":            {"PATCH", "/v1/feed", "", 405, []string{id, "1", "Cache-Control", "no-store", "Content-Type", fault.ContentType}, problem, "Allow"},
		"loose body":          {"POST", "/v1/users", `{"handle":"x y"}`, 201, []string{id, "1", "Content-Type", "application/json"}, `{"id":"019ac0de-3b5a-7cc2-9d0e-5b6f3a1c2d4e","handle":"x","name":"x"}`, "request"},
		"no body for 204":     {"PUT", "/v1/follows/ada", "", 204, []string{id, "1"}, "", ""},
		"null for a number":   {"GET", "/v1/functions/x", "", 200, []string{id, "1", "Cache-Control", "no-store", "Content-Type", "application/json"}, `{"func_name":"x","calls":0,"errors":0,"error_rate":null,"avg_time":null,"p50":null,"p95":null,"p99":null}`, ""},
		"null for a text":     {"GET", "/v1/functions/x", "", 200, []string{id, "1", "Cache-Control", "no-store", "Content-Type", "application/json"}, `{"func_name":null,"calls":0,"errors":0,"error_rate":null,"avg_time":null,"p50":null,"p95":null,"p99":null}`, "func_name"},
	} {
		req, err := http.NewRequest(tt.method, "http://127.0.0.1:1"+tt.path, strings.NewReader(tt.sent))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{}}
		for pair := range slices.Chunk(tt.header, 2) {
			resp.Header.Set(pair[0], pair[1])
		}
		err = d.check(req, []byte(tt.sent), resp, []byte(tt.got))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

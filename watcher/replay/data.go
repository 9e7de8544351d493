package replay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pharos/elastic"
	"pharos/watcher/document"
)

// Elasticsearch is what Load asks of it; elastic.Client has it.
type Elasticsearch interface {
	Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
	Create(ctx context.Context, target string, documents []elastic.Document) (elastic.CreateResult, error)
	Refresh(ctx context.Context, target string) error
}

// Data are documents in indices of their own, with the mappings of the true ones.
// They are no data streams: not every Elasticsearch can delete those.
type Data struct {
	Documents int
	From, To  time.Time // the first and the last document's
	es        Elasticsearch
	suffix    string
	indices   []string // of the watch
	made      []string
}

const (
	maxLine   = 1 << 20
	bulkLines = 1000
)

// Load puts NDJSON, one document with @timestamp a line, into temporary indices,
// one for each index of the watch; their names hold suffix. With more than one, a
// document's data_stream.type and .dataset say into which it goes. Close deletes
// them, also after an error.
func Load(ctx context.Context, es Elasticsearch, from io.Reader, indices []string, suffix string) (*Data, error) {
	d := &Data{es: es, suffix: suffix, indices: indices}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	waiting := map[string][]elastic.Document{}
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		target, err := d.place(line)
		if err != nil {
			return d, fmt.Errorf("line %d: %w", n, err)
		}
		waiting[target] = append(waiting[target], elastic.Document{Body: slices.Clone(line)})
		if len(waiting[target]) == bulkLines {
			if err := d.add(ctx, target, waiting[target]); err != nil {
				return d, err
			}
			waiting[target] = nil
		}
	}
	if err := lines.Err(); err != nil {
		return d, fmt.Errorf("read documents: %w", err)
	}
	for target, documents := range waiting {
		if err := d.add(ctx, target, documents); err != nil {
			return d, err
		}
	}
	if d.Documents == 0 {
		return d, fmt.Errorf("there is no document")
	}
	for _, name := range d.made {
		if err := es.Refresh(ctx, name); err != nil {
			return d, err
		}
	}
	return d, nil
}

// place takes in a document's time and returns which of the watch's indices it
// belongs into.
func (d *Data) place(line []byte) (string, error) {
	o, err := document.ParseObject(line)
	if err != nil {
		return "", err
	}
	text, _ := o.Get("@timestamp")
	at, err := time.Parse(time.RFC3339Nano, document.String(text))
	if err != nil {
		return "", fmt.Errorf("@timestamp is no RFC 3339 time: %s", document.String(text))
	}
	if d.From.IsZero() || at.Before(d.From) {
		d.From = at.UTC()
	}
	if at.After(d.To) {
		d.To = at.UTC()
	}
	if len(d.indices) == 1 {
		return d.indices[0], nil
	}
	stream := field(o, "data_stream.type") + "-" + field(o, "data_stream.dataset") + "-"
	for _, index := range d.indices {
		if strings.HasPrefix(index, stream) {
			return index, nil
		}
	}
	return "", fmt.Errorf("the watch reads %s: data_stream.type and data_stream.dataset must say where the document belongs", strings.Join(d.indices, ", "))
}

// field reads a field that stands nested or with dots in its name.
func field(o *document.Object, name string) string {
	v, ok := o.Get(name)
	if !ok {
		v = document.At(o, name)
	}
	text, _ := v.(string)
	return text
}

// Redirect is the temporary index that stands for one of the watch's.
func (d *Data) Redirect(index string) string {
	return "pharos-replay-" + d.suffix + "-" + strings.ReplaceAll(index, "*", "all")
}

// create makes the temporary index of one of the watch's, with the mapping that
// templates give to that one.
func (d *Data) create(ctx context.Context, index string) error {
	name := strings.ReplaceAll(index, "*", "default")
	status, answer, err := d.es.Do(ctx, http.MethodPost, "/_index_template/_simulate_index/"+url.PathEscape(name), nil)
	if err == nil && status != http.StatusOK {
		err = document.AnsweredError(status, answer)
	}
	if err != nil {
		return fmt.Errorf("read the template of %s: %w", index, err)
	}
	simulated, err := document.ParseObject(answer)
	if err != nil {
		return fmt.Errorf("read the template of %s: %w", index, err)
	}
	body := document.NewObject()
	if mappings, ok := document.At(simulated, "template.mappings").(*document.Object); ok {
		mappings.Delete("_data_stream_timestamp") // only data streams have it
		body.Set("mappings", mappings)
	}
	if limits := document.At(simulated, "template.settings.index.mapping"); limits != nil {
		body.Set("settings", document.NewObject(document.Pair{Key: "index", Value: document.NewObject(document.Pair{Key: "mapping", Value: limits})}))
	}
	text, err := document.Marshal(body)
	if err != nil {
		return fmt.Errorf("make %s: %w", d.Redirect(index), err)
	}
	status, answer, err = d.es.Do(ctx, http.MethodPut, "/"+url.PathEscape(d.Redirect(index)), text)
	if err == nil && status != http.StatusOK {
		if failed := document.AnsweredError(status, answer); failed.Type() != "resource_already_exists_exception" {
			err = failed
		}
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", d.Redirect(index), err)
	}
	d.made = append(d.made, d.Redirect(index))
	return nil
}

func (d *Data) add(ctx context.Context, index string, documents []elastic.Document) error {
	if len(documents) == 0 {
		return nil
	}
	target := d.Redirect(index)
	if !slices.Contains(d.made, target) {
		if err := d.create(ctx, index); err != nil {
			return err
		}
	}
	result, err := d.es.Create(ctx, target, documents)
	if err != nil {
		return err
	}
	if len(result.Refused) > 0 {
		r := result.Refused[0]
		return fmt.Errorf("%d documents don't fit the mapping of %s; the first: %s", len(result.Refused), target, r.Reason)
	}
	d.Documents += result.Created
	return nil
}

// Close deletes the temporary indices.
func (d *Data) Close(ctx context.Context) error {
	for _, name := range d.made {
		status, answer, err := d.es.Do(ctx, http.MethodDelete, "/"+url.PathEscape(name), nil)
		if err == nil && status != http.StatusOK && status != http.StatusNotFound {
			err = document.AnsweredError(status, answer)
		}
		if err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
	}
	return nil
}

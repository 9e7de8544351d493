package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pharos/elastic"
)

// line is one log line. Its values are as they came: escape and clean them before
// they are shown.
type line struct {
	ID    string    `json:"id"`
	Index string    `json:"index"`
	At    time.Time `json:"@timestamp"`
	// Ingested is when Elasticsearch took it; zero if that is not known.
	Ingested time.Time `json:"ingested,omitzero"`
	Level    string    `json:"level,omitempty"`
	Service  string    `json:"service,omitempty"`
	Message  string    `json:"message"`
	Trace    string    `json:"trace,omitempty"`
	// Values are the values of the asked fields, or of all, by their full names.
	Values map[string][]string `json:"fields,omitempty"`
}

// Ref names the line in an address: its index and its id.
func (l line) Ref() string { return l.Index + "/" + l.ID }

// parseRef is the opposite of Ref. What is not of that form names no line.
func parseRef(ref string) (index, id string, ok bool) {
	index, id, ok = strings.Cut(ref, "/")
	return index, id, ok && index != "" && id != "" && len(ref) <= 1024
}

// shown are the fields that a list of lines needs.
func shown() []string {
	return []string{
		"@timestamp", "event.ingested", "message", "log.level", "service.name", "trace.id", "data_stream.dataset",
		"error.message", "error.type", "error.log.message", "error.log.level", "error.exception.message", "error.culprit",
	}
}

// readLine makes a line of a document, with the values of columns, or of all
// fields where columns is nil.
func readLine(hit elastic.Hit, columns []string) (line, error) {
	fields, err := flatten(hit.Source)
	if err != nil {
		return line{}, fmt.Errorf("read line %s/%s: %w", hit.Index, hit.ID, err)
	}
	first := func(name string) string { return strings.Join(fields[name], ", ") }
	l := line{ID: hit.ID, Index: hit.Index, At: parseTime(first("@timestamp")), Ingested: parseTime(first("event.ingested")),
		Service: first("service.name"), Trace: first("trace.id")}
	// What the agents' errors say stands in several places.
	for _, name := range []string{"message", "error.log.message", "error.exception.message", "error.message", "error.culprit", "error.type"} {
		if l.Message = first(name); l.Message != "" {
			break
		}
	}
	if l.Level = first("log.level"); l.Level == "" {
		l.Level = first("error.log.level")
	}
	if l.Level == "" && (first("error.message") != "" || first("error.exception.message") != "") {
		l.Level = "error"
	}
	if len(hit.Sort) > 0 { // what Elasticsearch understood by the time, whatever its form
		if millis, ok := hit.Sort[0].(float64); ok {
			l.At = time.UnixMilli(int64(millis)).UTC()
		}
	}
	if columns == nil {
		l.Values = fields
		return l, nil
	}
	for _, name := range columns {
		if value, ok := fields[name]; ok {
			if l.Values == nil {
				l.Values = map[string][]string{}
			}
			l.Values[name] = value
		}
	}
	return l, nil
}

func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// maxFields is how many fields of one document are told apart. ECS knows about
// 1,000; a document of more is somebody's attack or mistake.
const maxFields = 1000

// maxDepth is how deep objects are taken apart; what is deeper is shown as JSON.
const maxDepth = 20

var errTooManyFields = errors.New("too many fields")

// flatten returns the values of a document by their full names. Names with dots
// and objects in objects mean the same; so do the same names in several objects.
func flatten(source json.RawMessage) (map[string][]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber() // large ones keep their digits
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	fields := map[string][]string{}
	if err := flattenInto(fields, "", object, 0); err != nil && !errors.Is(err, errTooManyFields) {
		return nil, err
	}
	return fields, nil
}

func flattenInto(fields map[string][]string, prefix string, object map[string]any, depth int) error {
	for _, name := range slices.Sorted(maps.Keys(object)) { // so that the same ones are left out each time
		if len(fields) >= maxFields {
			return errTooManyFields
		}
		several, ok := object[name].([]any)
		if !ok {
			several = []any{object[name]}
		}
		for _, value := range several {
			if inner, ok := value.(map[string]any); ok && depth < maxDepth {
				if err := flattenInto(fields, prefix+name+".", inner, depth+1); err != nil {
					return err
				}
				continue
			}
			if value == nil {
				continue
			}
			text, err := text(value)
			if err != nil {
				return err
			}
			fields[prefix+name] = append(fields[prefix+name], text)
		}
	}
	return nil
}

// text is a JSON value as a reader wants it.
func text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	encoded, err := json.Marshal(value)
	return string(encoded), err
}

// Package esstore keeps watches, their status, the records of their executions
// and the leases of the processes that share them, in Elasticsearch.
package esstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// The indices. Records are in an index of their day, watch-history-2026.11.21,
// so that old ones can be deleted whole; historyAlias reads all of them.
const (
	watchesIndex = "pharos-watches"
	historyAlias = "pharos-watch-history"
	leasesIndex  = "pharos-leases"
)

// Store implements watcher.Store, scheduler.Store and lease.Store. Make it with
// New; it is safe for concurrent use.
type Store struct {
	es      watcher.Elasticsearch
	history *History
	status  batcher
}

// New returns a Store. Records go to history.
func New(es watcher.Elasticsearch, history *History) *Store {
	return &Store{es: es, history: history, status: batcher{es: es}}
}

// watchDoc is a stored watch. Source and StatusSource are JSON as text: they
// keep the order of their keys, and no watch can add to the mapping. Metadata and
// Status are copies to search by.
type watchDoc struct {
	Source       string           `json:"source"`
	StatusSource string           `json:"status_source"`
	Metadata     *document.Object `json:"metadata,omitempty"`
	Status       statusCopy       `json:"status"`
	// Shipped is the hash of the file that the watch came from, and has not been
	// changed since; empty if people wrote it.
	Shipped string `json:"shipped,omitempty"`
}

// statusCopy writes null for what is not there: an update merges objects.
type statusCopy struct {
	State struct {
		Active    bool      `json:"active"`
		Timestamp time.Time `json:"timestamp"`
	} `json:"state"`
	LastChecked      *time.Time    `json:"last_checked"`
	LastMetCondition *time.Time    `json:"last_met_condition"`
	ExecutionState   watcher.State `json:"execution_state"`
	Version          int64         `json:"version"`
}

func copyOf(s watcher.Status) statusCopy {
	c := statusCopy{ExecutionState: s.ExecutionState, Version: s.Version}
	c.State.Active, c.State.Timestamp = s.Active, s.StateChanged
	if !s.LastChecked.IsZero() {
		c.LastChecked = &s.LastChecked
	}
	if !s.LastMetCondition.IsZero() {
		c.LastMetCondition = &s.LastMetCondition
	}
	return c
}

// hit is a document as Elasticsearch returns it.
type hit struct {
	ID          string          `json:"_id"`
	Found       bool            `json:"found"`
	Version     int64           `json:"_version"`
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Source      json.RawMessage `json:"_source"`
}

func (h hit) watch() (watcher.Stored, watchDoc, error) {
	s := watcher.Stored{ID: h.ID, Version: h.Version, SeqNo: h.SeqNo, PrimaryTerm: h.PrimaryTerm}
	var d watchDoc
	if err := json.Unmarshal(h.Source, &d); err != nil {
		return s, d, fmt.Errorf("read watch [%s]: %w", h.ID, err)
	}
	var err error
	if s.Source, err = document.ParseObject([]byte(d.Source)); err != nil {
		return s, d, fmt.Errorf("read watch [%s]: %w", h.ID, err)
	}
	if err := json.Unmarshal([]byte(d.StatusSource), &s.Status); err != nil {
		return s, d, fmt.Errorf("read watch [%s]: %w", h.ID, err)
	}
	return s, d, nil
}

// written is what Elasticsearch answers to a write.
type written struct {
	Result      string `json:"result"`
	Version     int64  `json:"_version"`
	SeqNo       int64  `json:"_seq_no"`
	PrimaryTerm int64  `json:"_primary_term"`
}

// Get returns a watch; fault.NotFound if there is none of this id.
func (s *Store) Get(ctx context.Context, id string) (watcher.Stored, error) {
	stored, _, err := s.get(ctx, id)
	return stored, err
}

func (s *Store) get(ctx context.Context, id string) (watcher.Stored, watchDoc, error) {
	var h hit
	if err := s.call(ctx, http.MethodGet, watchPath("_doc", id), nil, &h); err != nil {
		return watcher.Stored{}, watchDoc{}, err
	}
	return h.watch()
}

// Put writes a watch, new or in place of the old one.
func (s *Store) Put(ctx context.Context, id string, source *document.Object, status watcher.Status, cond watcher.Precondition) (watcher.Stored, bool, error) {
	return s.put(ctx, id, source, status, cond, "", "")
}

func (s *Store) put(ctx context.Context, id string, source *document.Object, status watcher.Status, cond watcher.Precondition, shipped, opType string) (watcher.Stored, bool, error) {
	stored := watcher.Stored{ID: id, Source: source, Status: status}
	cond, err := s.bySeqNo(ctx, id, cond)
	if err != nil {
		return stored, false, err
	}
	doc, err := newWatchDoc(source, status)
	if err != nil {
		return stored, false, fmt.Errorf("write watch [%s]: %w", id, err)
	}
	doc.Shipped = shipped
	query := conditions(cond)
	if opType != "" {
		query.Set("op_type", opType)
	}
	path := watchPath("_doc", id) + "?" + query.Encode()
	var w written
	err = s.call(ctx, http.MethodPut, path, doc, &w)
	var refused *document.Error
	if asRefused(err, &refused) && doc.Metadata != nil {
		// Another watch has metadata of the same name and another type: this one
		// can't be found by its metadata then.
		doc.Metadata = nil
		err = s.call(ctx, http.MethodPut, path, doc, &w)
	}
	if err != nil {
		return stored, false, err
	}
	stored.Version, stored.SeqNo, stored.PrimaryTerm = w.Version, w.SeqNo, w.PrimaryTerm
	return stored, w.Result == "created", nil
}

func newWatchDoc(source *document.Object, status watcher.Status) (watchDoc, error) {
	text, err := document.Marshal(source)
	if err != nil {
		return watchDoc{}, err
	}
	statusText, err := json.Marshal(status)
	if err != nil {
		return watchDoc{}, err
	}
	metadata, _ := source.Get("metadata")
	m, _ := metadata.(*document.Object)
	return watchDoc{Source: string(text), StatusSource: string(statusText), Metadata: m, Status: copyOf(status)}, nil
}

// bySeqNo turns a version to be replaced into a sequence number: Elasticsearch
// compares no versions of its own.
func (s *Store) bySeqNo(ctx context.Context, id string, cond watcher.Precondition) (watcher.Precondition, error) {
	if cond.Version == nil {
		return cond, nil
	}
	stored, err := s.Get(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && stored.Version != *cond.Version:
		return cond, fault.New(fault.Conflict, "The watch has changed.")
	case err != nil:
		return cond, err
	}
	return watcher.Precondition{SeqNo: &stored.SeqNo, PrimaryTerm: &stored.PrimaryTerm}, nil
}

func conditions(cond watcher.Precondition) url.Values {
	query := url.Values{"refresh": {"true"}}
	if cond.SeqNo != nil {
		query.Set("if_seq_no", strconv.FormatInt(*cond.SeqNo, 10))
		query.Set("if_primary_term", strconv.FormatInt(*cond.PrimaryTerm, 10))
	}
	return query
}

// statusUpdate is the part of a watchDoc that an execution changes.
type statusUpdate struct {
	StatusSource string     `json:"status_source"`
	Status       statusCopy `json:"status"`
}

func newStatusUpdate(status watcher.Status) (json.RawMessage, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"doc": statusUpdate{StatusSource: string(text), Status: copyOf(status)}})
}

// UpdateStatus writes the status of a watch, searchable when it returns. The
// Stored that it returns has no Source.
func (s *Store) UpdateStatus(ctx context.Context, id string, status watcher.Status, cond watcher.Precondition) (watcher.Stored, error) {
	cond, err := s.bySeqNo(ctx, id, cond)
	if err != nil {
		return watcher.Stored{}, err
	}
	body, err := newStatusUpdate(status)
	if err != nil {
		return watcher.Stored{}, fmt.Errorf("write status of watch [%s]: %w", id, err)
	}
	var w written
	if err := s.call(ctx, http.MethodPost, watchPath("_update", id)+"?"+conditions(cond).Encode(), body, &w); err != nil {
		return watcher.Stored{}, err
	}
	return watcher.Stored{ID: id, Version: w.Version, SeqNo: w.SeqNo, PrimaryTerm: w.PrimaryTerm, Status: status}, nil
}

// Settle is UpdateStatus for executions: many that end at about the same time
// are written by one call, and are searchable a second later.
func (s *Store) Settle(ctx context.Context, id string, status watcher.Status, seqNo, primaryTerm int64) (watcher.Stored, error) {
	body, err := newStatusUpdate(status)
	if err != nil {
		return watcher.Stored{}, fmt.Errorf("write status of watch [%s]: %w", id, err)
	}
	w, err := s.status.do(ctx, operation{action: "update", index: watchesIndex, id: id, seqNo: &seqNo, primaryTerm: primaryTerm, body: body})
	if err != nil {
		return watcher.Stored{}, fmt.Errorf("write status of watch [%s]: %w", id, err)
	}
	return watcher.Stored{ID: id, Version: w.Version, SeqNo: w.SeqNo, PrimaryTerm: w.PrimaryTerm, Status: status}, nil
}

// Delete removes a watch and returns what it was.
func (s *Store) Delete(ctx context.Context, id string) (watcher.Stored, error) {
	stored, err := s.Get(ctx, id)
	if err != nil {
		return stored, err
	}
	var w written
	if err := s.call(ctx, http.MethodDelete, watchPath("_doc", id)+"?refresh=true", nil, &w); err != nil {
		return stored, err
	}
	stored.Version, stored.SeqNo, stored.PrimaryTerm = w.Version, w.SeqNo, w.PrimaryTerm
	return stored, nil
}

// Record adds a record to the history, which writes it soon.
func (s *Store) Record(_ context.Context, r watcher.Record) error { return s.history.add(r) }

func watchPath(endpoint, id string) string {
	return "/" + watchesIndex + "/" + endpoint + "/" + url.PathEscape(id)
}

func asRefused(err error, into **document.Error) bool {
	e, ok := err.(*document.Error) //nolint:errorlint // call returns it as it is
	if ok && e.Status == http.StatusBadRequest {
		*into = e
		return true
	}
	return false
}

// call sends in and reads the answer into out. 404 is fault.NotFound, 409
// fault.Conflict, any other refusal Elasticsearch's own *document.Error.
func (s *Store) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	status, answer, err := s.es.Do(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := refusal(status, answer); err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func refusal(status int, answer []byte) error {
	switch {
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "There is no such document.")
	case status == http.StatusConflict:
		return fault.New(fault.Conflict, "The document has changed.")
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return fault.New(fault.Unavailable, "Elasticsearch is busy: %s", strings.TrimSpace(cut(answer)))
	case status >= http.StatusMultipleChoices:
		return document.AnsweredError(status, answer)
	}
	return nil
}

func cut(answer []byte) string {
	const most = 300
	return strings.ToValidUTF8(string(answer[:min(len(answer), most)]), "")
}

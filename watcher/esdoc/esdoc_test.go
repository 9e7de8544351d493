package esdoc_test

import (
	"context"
	"errors"
	"testing"

	"pharos/internal/fault"
	"pharos/watcher/document"
	"pharos/watcher/esdoc"
)

// answers is an Elasticsearch that always answers the same.
type answers struct {
	status int
	body   string
	err    error
}

func (a answers) Do(context.Context, string, string, []byte) (int, []byte, error) {
	return a.status, []byte(a.body), a.err
}

func TestWhatElasticsearchSays(t *testing.T) {
	away := errors.New("connection refused")
	for name, c := range map[string]struct {
		answers answers
		want    fault.Code
	}{
		"gone":     {answers{status: 404, body: `{}`}, fault.NotFound},
		"changed":  {answers{status: 409, body: `{}`}, fault.Conflict},
		"busy":     {answers{status: 429, body: `{"error":{"type":"es_rejected_execution_exception","reason":"full"}}`}, fault.Unavailable},
		"no shard": {answers{status: 503, body: ``}, fault.Unavailable},
		"away":     {answers{err: away}, fault.Unavailable},
		"refused":  {answers{status: 400, body: `{"error":{"type":"mapper_parsing_exception","reason":"bad"}}`}, fault.Internal},
	} {
		_, err := esdoc.Index{Elasticsearch: c.answers, Name: "x"}.Put(t.Context(), "id", map[string]int{}, esdoc.Revision{})
		if got := fault.From(err).Code; got != c.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, c.want, err)
		}
		var refused *document.Error
		if name == "away" && !errors.Is(err, away) || (name == "refused" || name == "busy") != errors.As(err, &refused) && name != "no shard" {
			t.Errorf("%s: the cause is lost: %v", name, err)
		}
	}
	hits, err := esdoc.Index{Elasticsearch: answers{status: 404, body: `{}`}, Name: "x"}.Search(t.Context(), map[string]any{})
	if err != nil || len(hits) != 0 {
		t.Errorf("an index that is not there: %v, %v", hits, err)
	}
}

func TestACallerThatLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := esdoc.Index{Elasticsearch: answers{err: context.Canceled}, Name: "x"}.Search(ctx, map[string]any{})
	if !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

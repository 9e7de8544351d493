package replay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/replay"
)

type noElasticsearch struct{}

func (noElasticsearch) Do(context.Context, string, string, []byte) (int, []byte, error) {
	return 0, nil, errors.New("nothing answers")
}

func TestAccountsAreNotNeeded(t *testing.T) {
	source, err := document.ParseObject([]byte(`{
		"metadata":{"pharos":{"resolve":true}},"trigger":{"schedule":{"interval":"1m"}},
		"input":{"simple":{"n":7}},"condition":{"always":{}},
		"actions":{"tell":{"slack":{"account":"ours","message":{"text":"Seven is {{ctx.payload.n}}."}}},
			"page":{"pagerduty":{"account":"ours","description":"seven"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	result, err := replay.Watch(t.Context(), noElasticsearch{}, "seven", source, replay.Options{From: to.Add(-10 * time.Minute), To: to, Step: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if result.Runs != 10 || result.Failed != 0 || result.Pages != 1 || result.Messages != 1 || len(result.Alerts) != 1 {
		t.Errorf("%+v", result)
	}
}

package functions

import (
	"slices"
	"testing"

	"pharos/console/pagetest"
)

// Documents as Metricbeat 7.17 writes them.
func TestOnTheStack(t *testing.T) {
	es, span := pagetest.Stack(t), pagetest.Quiet()
	const jobs = `"service":{"name":"jobs","node":{"name":"jobs-test"}}`
	pagetest.Index(t, es, metricsStream, span,
		`{"@timestamp":"{0}",`+jobs+`,"prometheus":{"metrics":{"jobs_queued":2,"jobs_running":1,"jobs_oldest_seconds":7.5}}}`,
		`{"@timestamp":"{1}",`+jobs+`,"prometheus":{"metrics":{"jobs_queued":1,"jobs_running":1,"jobs_oldest_seconds":2}}}`,
		`{"@timestamp":"{0}",`+jobs+`,"prometheus":{"labels":{"task":"fibonacci","outcome":"done"},"metrics":{"jobs_latency_seconds_count":5}}}`,
		`{"@timestamp":"{1}",`+jobs+`,"prometheus":{"labels":{"task":"fibonacci","outcome":"done"},"metrics":{"jobs_latency_seconds_count":8}}}`,
		`{"@timestamp":"{1}",`+jobs+`,"prometheus":{"labels":{"task":"factorial","outcome":"failed"},"metrics":{"jobs_latency_seconds_count":1}}}`,
	)
	q, err := queue(t.Context(), es, span)
	if err != nil {
		t.Fatal(err)
	}
	if q.Waiting == nil || *q.Waiting != 1 || q.Running == nil || *q.Running != 1 || q.Oldest == nil || *q.Oldest != 2 {
		t.Errorf("%+v", q)
	}
	if !slices.Equal(q.Ended, []Outcome{{"done", 3}, {"failed", 1}}) {
		t.Errorf("%+v", q.Ended)
	}
}

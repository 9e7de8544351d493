package pagetest

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/teststack"
)

// Stack returns Elasticsearch's own superuser at a real Elasticsearch; without
// one the test is skipped.
func Stack(t *testing.T) *elastic.Client {
	t.Helper()
	cfg := teststack.Config[struct {
		URLs     []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
		Password env.Secret `env:"ELASTIC_PASSWORD,required,notEmpty"`
	}](t)
	es, err := elastic.New(elastic.Config{URLs: cfg.URLs, User: "elastic", Password: cfg.Password})
	if err != nil {
		t.Fatal(err)
	}
	return es
}

// Quiet is ten minutes of the past at which nothing else writes.
func Quiet() page.Span {
	from := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rand.N(300*24*6)) * 10 * time.Minute)
	return page.Span{From: from, To: from.Add(10 * time.Minute)}
}

// Index adds documents to a stream, ready to be found. {N} in one is the
// beginning of the span's minute N.
func Index(t *testing.T, es *elastic.Client, stream string, span page.Span, documents ...string) {
	t.Helper()
	var body strings.Builder
	for _, d := range documents {
		for n := range 10 {
			d = strings.ReplaceAll(d, "{"+string(rune('0'+n))+"}", span.From.Add(time.Duration(n)*time.Minute).Format(time.RFC3339))
		}
		body.WriteString(`{"create":{}}` + "\n" + strings.ReplaceAll(d, "\n", " ") + "\n")
	}
	status, answer, err := es.Do(t.Context(), http.MethodPost, "/"+stream+"/_bulk?refresh=true", []byte(body.String()))
	if err != nil || status != http.StatusOK || !strings.Contains(string(answer), `"errors":false`) {
		t.Fatalf("index into %s: %d %s %v", stream, status, answer, err)
	}
}

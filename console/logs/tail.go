package logs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pharos/elastic"
)

// How a live tail asks. Lines become visible to searches in another order than
// they were ingested in, by as much as a bulk request takes and until the next
// refresh; each poll looks back by the overlap and leaves out what it knows.
const (
	tailEvery   = 500 * time.Millisecond
	tailOverlap = 20 * time.Second
	// tailLines is how many lines one poll passes on: more in a second can't be
	// read. The rest is counted.
	tailLines = 200
	// firstLines is the same of the first poll, which fills a gap.
	firstLines = 2000
	tailIDs    = 10_000 // Elasticsearch's largest page
)

// tail is a list of lines that grows. It goes by event.ingested, which the last
// pipeline of each stream sets, and which rises however late a line's own time is;
// streams that lack it go by their lines' time.
type tail struct {
	store   store
	filters []elastic.Query
	columns []string
	// since is the newest event.ingested seen, by Elasticsearch's clock.
	since time.Time
	seen  map[string]time.Time // line → its event.ingested
	most  int                  // lines that the next poll passes on
}

// news is what a poll found.
type news struct {
	Lines []line // the oldest first
	// Skipped is how many more there were than can be passed on; AtLeast where they
	// were too many to count.
	Skipped int64
	AtLeast bool
}

// follow begins a tail. A zero since begins with what is ingested from now on.
// Lines of the overlap before since may come once more.
func (s store) follow(ctx context.Context, sc scope, since time.Time, columns []string) (*tail, error) {
	sc.from, sc.to, sc.asked = time.Time{}, time.Time{}, nil
	q, err := s.ask(ctx, sc)
	if err != nil {
		return nil, err
	}
	t := &tail{store: s, filters: q.filters, columns: columns, since: since, seen: map[string]time.Time{}, most: firstLines}
	if !since.IsZero() {
		return t, nil
	}
	page, err := s.es.Page(ctx, elastic.PageRequest{Target: s.target, Body: elastic.Query{
		"size": 1, "_source": false, "track_total_hits": false, "timeout": timeout(searchTimeout),
		"sort": []elastic.Query{{"event.ingested": elastic.Query{"order": "desc", "unmapped_type": "date", "missing": "_last"}}},
	}})
	if err != nil {
		return nil, fmt.Errorf("find the newest line: %w", err)
	}
	if len(page.Hits) > 0 {
		t.since = ingested(page.Hits[0])
	}
	if t.since.IsZero() {
		t.since = time.UnixMilli(1)
	}
	_, err = t.poll(ctx) // what is there is not new
	return t, err
}

func ingested(h elastic.Hit) time.Time {
	if len(h.Sort) > 0 {
		if millis, ok := h.Sort[0].(float64); ok && millis > 0 {
			return time.UnixMilli(int64(millis))
		}
	}
	return time.Time{}
}

// poll returns the lines that have become visible since the poll before.
func (t *tail) poll(ctx context.Context) (news, error) {
	from := t.since.Add(-tailOverlap)
	bound := elastic.Query{"gte": from.UnixMilli(), "format": "epoch_millis"}
	filters := append(slices.Clone(t.filters), elastic.Query{"bool": elastic.Query{
		"minimum_should_match": 1,
		"should": []elastic.Query{
			{"range": elastic.Query{"event.ingested": bound}},
			{"bool": elastic.Query{
				"filter":   elastic.Query{"range": elastic.Query{"@timestamp": bound}},
				"must_not": elastic.Query{"exists": elastic.Query{"field": "event.ingested"}},
			}},
		},
	}})
	page, err := t.store.es.Page(ctx, elastic.PageRequest{Target: t.store.target, Body: elastic.Query{
		"size": tailIDs, "_source": false, "track_total_hits": false, "timeout": timeout(searchTimeout), "query": all(filters...),
		"sort": []elastic.Query{
			{"event.ingested": elastic.Query{"order": "desc", "unmapped_type": "date", "missing": "_last"}},
			{"@timestamp": elastic.Query{"order": "desc", "unmapped_type": "date"}},
		},
	}})
	if err != nil {
		return news{}, refusedQuery(fmt.Errorf("follow lines: %w", err))
	}
	var fresh []elastic.Hit
	newest := t.since
	for _, h := range page.Hits {
		ref, at := h.Index+"/"+h.ID, ingested(h)
		if _, known := t.seen[ref]; known {
			continue
		}
		fresh = append(fresh, h)
		if at.After(newest) {
			newest = at
		}
	}
	n := news{AtLeast: len(fresh) == tailIDs}
	if len(fresh) > t.most {
		n.Skipped = int64(len(fresh) - t.most)
	}
	// Known only once their lines are there: a poll that fails is made again.
	if n.Lines, err = t.read(ctx, fresh[:min(t.most, len(fresh))]); err != nil {
		return news{}, err
	}
	for _, h := range fresh {
		at := ingested(h)
		if at.IsZero() {
			at = newest
		}
		t.seen[h.Index+"/"+h.ID] = at
	}
	t.since, t.most = newest, tailLines
	for ref, at := range t.seen {
		if at.Before(t.since.Add(-2 * tailOverlap)) {
			delete(t.seen, ref)
		}
	}
	return n, nil
}

// read returns the lines of hits without documents.
func (t *tail) read(ctx context.Context, hits []elastic.Hit) ([]line, error) {
	if len(hits) == 0 {
		return nil, nil
	}
	ids := make([]string, 0, len(hits))
	wanted := map[string]bool{}
	for _, h := range hits {
		ids = append(ids, h.ID)
		wanted[h.Index+"/"+h.ID] = true
	}
	var lines []line
	for len(ids) > 0 {
		page, _, err := t.store.smaller(ctx, elastic.PageRequest{Target: t.store.target, Body: elastic.Query{
			"track_total_hits": false, "timeout": timeout(searchTimeout), "_source": append(shown(), t.columns...),
			"query": all(elastic.Query{"ids": elastic.Query{"values": ids}}),
			"sort":  []elastic.Query{{"@timestamp": elastic.Query{"order": "asc", "unmapped_type": "date", "numeric_type": "date"}}},
		}}, 2*len(ids)) // an id may be that of lines of several streams
		if err != nil {
			return nil, fmt.Errorf("read followed lines: %w", err)
		}
		if len(page.Hits) == 0 {
			break // retention was faster
		}
		for _, h := range page.Hits {
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == h.ID })
			if !wanted[h.Index+"/"+h.ID] {
				continue
			}
			l, err := readLine(h, append([]string{}, t.columns...))
			if err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.At.Compare(b.At) })
	return lines, nil
}

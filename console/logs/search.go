package logs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
)

// list is which lines of a scope are wanted, and what of them.
type list struct {
	oldest  bool     // first; else newest first
	columns []string // fields besides the usual ones
	size    int
	after   string // the cursor of the page before; empty: the first page
}

// found is one page of lines.
type found struct {
	Lines []line `json:"lines"`
	// Next is the cursor of the next page; empty: there is none.
	Next string `json:"next,omitempty"`
	// Unknown are fields of the query that are mapped nowhere.
	Unknown []string `json:"unknown_fields,omitempty"`
}

// cursor is where a list goes on. The first page is asked without a point in time,
// since most readers never turn it: the second knows the ids that were shown of
// the last moment, and keeps what it reads from; all others go on there. When that
// is gone, a page is asked as if it was the second.
type cursor struct {
	At  int64    `json:"t"` // the last line's time, Unix milliseconds
	IDs []string `json:"i"` // of the page's lines of that time
	PIT string   `json:"p,omitempty"`
	// Sort is where the last line stands in the point in time.
	Sort []int64 `json:"s,omitempty"`
}

func (c cursor) encode() (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

func errCursor() error {
	return fault.Field(fault.InvalidCursor, "cursor", "The place in the list can't be read. Begin at the first page.")
}

const maxCursor = 64 << 10

func decodeCursor(text string) (cursor, error) {
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxCursor || json.Unmarshal(raw, &c) != nil || len(c.IDs) > maxPage ||
		(c.PIT == "") != (len(c.Sort) == 0) || c.PIT != "" && len(c.Sort) != 2 {
		return cursor{}, errCursor()
	}
	return c, nil
}

const (
	maxPage     = 500
	defaultPage = 100
)

// search returns a page of lines. Lines are ordered by their time; those of one
// millisecond by their place in their file, where they have one.
func (s store) search(ctx context.Context, sc scope, l list) (found, error) {
	q, err := s.ask(ctx, sc)
	if err != nil {
		return found{}, err
	}
	var at cursor
	if l.after != "" {
		if at, err = decodeCursor(l.after); err != nil {
			return found{}, err
		}
	}
	page, more, err := s.page(ctx, q.filters, l, at)
	if errors.Is(err, elastic.ErrPointInTimeGone) {
		at.PIT, at.Sort = "", nil
		page, more, err = s.page(ctx, q.filters, l, at)
	}
	switch {
	case err != nil && at.PIT != "" && fault.Is(refusedQuery(err), fault.InvalidParameter):
		return found{}, fmt.Errorf("%w: %w", errCursor(), err) // the query was well on the first page
	case err != nil:
		return found{}, refusedQuery(err)
	}
	f := found{Lines: []line{}, Unknown: q.unknown}
	for _, hit := range page.Hits {
		line, err := readLine(hit, append([]string{}, l.columns...))
		if err != nil {
			return found{}, err
		}
		f.Lines = append(f.Lines, line)
	}
	if more {
		f.Next, err = next(page, at)
	}
	return f, err
}

// next is the cursor behind the last line of a page.
func next(page *elastic.Page, at cursor) (string, error) {
	hits := page.Hits
	millis := func(h elastic.Hit) int64 {
		n, _ := h.Sort[0].(float64) // the time is the first key of each sort here
		return int64(n)
	}
	last := hits[len(hits)-1]
	c := cursor{At: millis(last), PIT: page.PointInTime}
	for _, h := range slices.Backward(hits) {
		if millis(h) != c.At {
			break
		}
		c.IDs = append(c.IDs, h.ID)
	}
	if len(c.IDs) == len(hits) && at.At == c.At && len(c.IDs)+len(at.IDs) <= maxPage {
		c.IDs = append(c.IDs, at.IDs...) // a moment that is longer than a page
	}
	if c.PIT != "" {
		for _, key := range last.Sort {
			n, _ := key.(float64)
			c.Sort = append(c.Sort, int64(n))
		}
	}
	return c.encode()
}

// page asks for the lines of one page, and reports whether there are more.
func (s store) page(ctx context.Context, filters []elastic.Query, l list, at cursor) (page *elastic.Page, more bool, err error) {
	order := map[bool]string{true: "asc", false: "desc"}[l.oldest]
	request := elastic.PageRequest{Target: s.target, Body: elastic.Query{
		"timeout": timeout(searchTimeout), "track_total_hits": false, "_source": append(shown(), l.columns...),
		"sort": []elastic.Query{
			{"@timestamp": elastic.Query{"order": order, "unmapped_type": "date", "numeric_type": "date"}},
			{"log.offset": elastic.Query{"order": order, "unmapped_type": "long", "missing": "_last"}},
		},
	}}
	switch {
	case at.PIT != "":
		request.PointInTime, request.Keep = at.PIT, keepPages
		request.Body["search_after"] = at.Sort
	case at.At != 0:
		bound := map[bool]string{true: "gte", false: "lte"}[l.oldest]
		filters = append(slices.Clone(filters), elastic.Query{"range": elastic.Query{"@timestamp": elastic.Query{bound: at.At, "format": "epoch_millis"}}},
			elastic.Query{"bool": elastic.Query{"must_not": []elastic.Query{{"ids": elastic.Query{"values": at.IDs}}}}})
		id, err := s.es.OpenPointInTime(ctx, s.target, keepPages)
		if err != nil {
			return nil, false, err
		}
		request.PointInTime, request.Keep = id, keepPages
	}
	if request.PointInTime != "" {
		request.Body["sort"] = []elastic.Query{
			{"@timestamp": elastic.Query{"order": order, "unmapped_type": "date", "numeric_type": "date"}},
			{"_shard_doc": order},
		}
	}
	request.Body["query"] = all(filters...)
	return s.smaller(ctx, request, l.size)
}

// smaller asks for so many documents, and for one more to know whether there are.
// Where lines are so long that they don't fit into one answer it asks for fewer.
func (s store) smaller(ctx context.Context, request elastic.PageRequest, size int) (page *elastic.Page, more bool, err error) {
	for ; ; size = max(1, size/8) {
		request.Body["size"] = size + 1
		page, err = s.es.Page(ctx, request)
		if errors.Is(err, elastic.ErrTooLarge) && size > 1 {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if len(page.Hits) > size {
			page.Hits, more = page.Hits[:size], true
		}
		return page, more, nil
	}
}

// surroundings are a line and those just before and after it.
type surroundings struct {
	Before []line `json:"before"` // the newest last
	// Same are the lines of the line's own millisecond, itself among them.
	Same  []line `json:"same"`
	After []line `json:"after"` // the newest last
}

// around returns up to n lines of the scope on each side of a line. The scope's
// time does not bound them.
func (s store) around(ctx context.Context, sc scope, of line, n int, columns []string) (surroundings, error) {
	sc.from, sc.to, sc.asked = time.Time{}, time.Time{}, nil
	q, err := s.ask(ctx, sc)
	if err != nil {
		return surroundings{}, err
	}
	var out surroundings
	at := of.At.UnixMilli()
	for _, part := range []struct {
		into  *[]line
		bound elastic.Query
		order string
		size  int
	}{
		{&out.Before, elastic.Query{"lt": at}, "desc", n},
		{&out.Same, elastic.Query{"gte": at, "lte": at}, "asc", maxPage},
		{&out.After, elastic.Query{"gt": at}, "asc", n},
	} {
		part.bound["format"] = "epoch_millis"
		page, _, err := s.smaller(ctx, elastic.PageRequest{Target: s.target, Body: elastic.Query{
			"timeout": timeout(searchTimeout), "track_total_hits": false, "_source": append(shown(), columns...),
			"query": all(append(slices.Clone(q.filters), elastic.Query{"range": elastic.Query{"@timestamp": part.bound}})...),
			"sort": []elastic.Query{
				{"@timestamp": elastic.Query{"order": part.order, "unmapped_type": "date", "numeric_type": "date"}},
				{"log.offset": elastic.Query{"order": part.order, "unmapped_type": "long", "missing": "_last"}},
			},
		}}, part.size)
		if err != nil {
			return surroundings{}, refusedQuery(err)
		}
		*part.into = []line{}
		for _, hit := range page.Hits {
			l, err := readLine(hit, append([]string{}, columns...))
			if err != nil {
				return surroundings{}, err
			}
			*part.into = append(*part.into, l)
		}
	}
	slices.Reverse(out.Before)
	// The line itself is shown even where the filters leave it out.
	if !slices.ContainsFunc(out.Same, func(l line) bool { return l.Ref() == of.Ref() }) {
		out.Same = append(out.Same, of)
	}
	return out, nil
}

// get returns one line with all its fields, and its document.
func (s store) get(ctx context.Context, ref string) (line, json.RawMessage, error) {
	missing := fault.Field(fault.NotFound, "line", "There is no such line, or no more: lines are kept for a limited time.")
	index, id, ok := parseRef(ref)
	if !ok {
		return line{}, nil, missing
	}
	page, err := s.es.Page(ctx, elastic.PageRequest{Target: s.target, Body: elastic.Query{
		"size": 1, "timeout": timeout(searchTimeout), "track_total_hits": false,
		"query": all(elastic.Query{"ids": elastic.Query{"values": []string{id}}}, elastic.Query{"term": elastic.Query{"_index": index}}),
		"sort":  []elastic.Query{{"@timestamp": elastic.Query{"order": "desc", "unmapped_type": "date", "format": "epoch_millis"}}},
	}})
	if err != nil {
		return line{}, nil, fmt.Errorf("get line: %w", err)
	}
	if len(page.Hits) == 0 || page.Hits[0].Index != index { // _index takes patterns, too
		return line{}, nil, missing
	}
	l, err := readLine(page.Hits[0], nil)
	return l, page.Hits[0].Source, err
}

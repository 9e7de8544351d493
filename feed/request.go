package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"pharos/internal/fault"
)

// Request is what a user asked for and got.
type Request struct {
	ID          string    `json:"-"` // makes saving a request twice harmless
	UserID      string    `json:"-"`
	TraceParent string    `json:"-"` // W3C trace context of the request, "" without one
	RequestID   string    `json:"request_id"`
	TraceID     string    `json:"trace_id"`
	Method      string    `json:"method"`
	Path        string    `json:"path"` // with its query
	Status      int       `json:"status"`
	Returned    int       `json:"returned"` // items in the answer
	Source      Source    `json:"source"`   // "" where no store was read for the answer
	DurationMS  float64   `json:"duration_ms"`
	At          time.Time `json:"at"`
}

// RequestStore keeps requests.
type RequestStore interface {
	// Insert saves requests; those whose id is there already are left alone.
	Insert(ctx context.Context, rs []Request) error
	// ByUser returns up to limit requests of the user, newest first, that came
	// before the request with the id before ("" for the newest).
	ByUser(ctx context.Context, userID, before string, limit int) ([]Request, error)
}

// RequestPage is a page of a user's requests.
type RequestPage struct {
	Items      []Request `json:"items"`
	NextCursor string    `json:"next_cursor"`
}

// RequestsOf returns a page of what the user asked for, newest first. An id that
// no user can have is fault.NotFound: not every text is one that a store can
// compare with ids.
func RequestsOf(ctx context.Context, store RequestStore, userID string, limit int, cursor string) (RequestPage, error) {
	if err := validateLimit(limit); err != nil {
		return RequestPage{}, err
	}
	if _, err := uuid.Parse(userID); err != nil {
		return RequestPage{}, fault.Field(fault.NotFound, "id", "There is no user with this id.")
	}
	before, err := decodeCursor("request", cursor)
	if err != nil {
		return RequestPage{}, err
	}
	rs, err := store.ByUser(ctx, userID, before, limit+1)
	if err != nil {
		return RequestPage{}, fmt.Errorf("read requests of a user: %w", err)
	}
	page := RequestPage{Items: rs}
	if len(rs) > limit {
		page.Items = rs[:limit]
		page.NextCursor = encodeCursor("request", rs[limit-1].ID)
	}
	if page.Items == nil {
		page.Items = []Request{}
	}
	return page, nil
}

package feed

import (
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

	"pharos/internal/fault"
)

// Pages are asked for with a limit and an opaque cursor: the id after which
// the page begins, marked with the kind of list that it belongs to.

// The number of items on a page.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

func encodeCursor(kind, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + id))
}

func decodeCursor(kind, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		if id, ok := strings.CutPrefix(string(raw), kind+":"); ok {
			if u, err := uuid.Parse(id); err == nil && u.String() == id {
				return id, nil
			}
		}
	}
	return "", fault.Field(fault.InvalidCursor, "cursor", "cursor must be the next_cursor of an earlier answer.")
}

func validateLimit(limit int) error {
	if limit < 1 || limit > MaxLimit {
		return fault.Field(fault.InvalidParameter, "limit", "limit must be from 1 to %d.", MaxLimit)
	}
	return nil
}

package feed

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"pharos/internal/fault"
)

// Post is a short text by a user. Its id is a UUID version 7, so that ids of
// later posts are greater; its time is the one within the id, in milliseconds.
type Post struct {
	ID        string    `json:"id"`
	AuthorID  string    `json:"author_id"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
}

// PostStore keeps posts.
type PostStore interface {
	// CreatePost adds p and returns it; where the author has a post of the same
	// effect ("" is never the same), it adds nothing and returns that one.
	CreatePost(ctx context.Context, p Post, effect string) (Post, error)
	// DeletePost removes the author's post; fault.NotFound where the author
	// has no such post.
	DeletePost(ctx context.Context, id, authorID string) error
	// PostsBy returns up to limit posts of the authors, newest first, that are
	// older than the post with the id before ("" for the newest).
	PostsBy(ctx context.Context, authorIDs []string, before string, limit int) ([]Post, error)
}

// FollowStore keeps who follows whom.
type FollowStore interface {
	// Follow adds the edge; one that is there already is no error.
	Follow(ctx context.Context, followerID, followeeID string) error
	// Unfollow removes the edge; one that is not there is no error.
	Unfollow(ctx context.Context, followerID, followeeID string) error
	// Followees returns the ids of those whom the user follows, in no order.
	Followees(ctx context.Context, followerID string) ([]string, error)
}

// ValidateText returns a fault.InvalidParameter where text is no text of a post.
func ValidateText(text string) error {
	if strings.TrimSpace(text) == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > MaxText {
		return fault.Field(fault.InvalidParameter, "text", "text must have 1 to %d characters.", MaxText)
	}
	return nil
}

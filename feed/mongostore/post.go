package mongostore

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/feed"
	"pharos/internal/fault"
)

type postDoc struct {
	ID        string    `bson:"_id"`
	AuthorID  string    `bson:"author_id"`
	Text      string    `bson:"text"`
	CreatedAt time.Time `bson:"created_at"`
	Effect    string    `bson:"effect,omitempty"` // unique among the author's posts
}

func (d postDoc) post() feed.Post {
	return feed.Post{ID: d.ID, AuthorID: d.AuthorID, Text: d.Text, CreatedAt: d.CreatedAt.UTC()}
}

type followDoc struct {
	FollowerID string `bson:"follower_id"`
	FolloweeID string `bson:"followee_id"`
}

// CreatePost implements feed.PostStore.
func (s *Store) CreatePost(ctx context.Context, p feed.Post, effect string) (feed.Post, error) {
	err := s.do(ctx, "insert post", func(ctx context.Context) error {
		_, err := s.posts.InsertOne(ctx, postDoc{p.ID, p.AuthorID, p.Text, p.CreatedAt, effect})
		return err
	})
	if effect == "" || !mongo.IsDuplicateKeyError(err) {
		return p, err
	}
	var first postDoc
	err = s.do(ctx, "find first post of an effect", func(ctx context.Context) error {
		return s.posts.FindOne(ctx, bson.D{{Key: "author_id", Value: p.AuthorID}, {Key: "effect", Value: effect}}).Decode(&first)
	})
	return first.post(), err
}

// DeletePost implements feed.PostStore.
func (s *Store) DeletePost(ctx context.Context, id, authorID string) error {
	return s.do(ctx, "delete post", func(ctx context.Context) error {
		res, err := s.posts.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "author_id", Value: authorID}})
		if err == nil && res.DeletedCount == 0 {
			return fault.New(fault.NotFound, "You have no such post.")
		}
		return err
	})
}

// mergedAuthors is how many authors one query may name: up to 200 MongoDB reads
// each author's posts in the index's order and merges them, beyond that it
// would read and sort every post of all of them
// (internalQueryMaxScansToExplode).
const mergedAuthors = 200

// PostsBy implements feed.PostStore. Each query reads the heads of up to 200
// authors, merged by MongoDB up to the limit; the heads of more are merged here.
func (s *Store) PostsBy(ctx context.Context, authorIDs []string, before string, limit int) ([]feed.Post, error) {
	var posts []feed.Post
	for authors := range slices.Chunk(authorIDs, mergedAuthors) {
		heads, err := s.heads(ctx, authors, before, limit)
		if err != nil {
			return nil, err
		}
		posts = newest(posts, heads, limit)
	}
	return posts, nil
}

func (s *Store) heads(ctx context.Context, authorIDs []string, before string, limit int) ([]feed.Post, error) {
	filter := bson.D{{Key: "author_id", Value: bson.D{{Key: "$in", Value: authorIDs}}}}
	if before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: before}}})
	}
	var docs []postDoc
	err := s.do(ctx, "find posts", func(ctx context.Context) error {
		cur, err := s.posts.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(int64(limit)))
		if err != nil {
			return err
		}
		return cur.All(ctx, &docs)
	})
	if err != nil {
		return nil, err
	}
	posts := make([]feed.Post, len(docs))
	for i, d := range docs {
		posts[i] = d.post()
	}
	return posts, nil
}

// newest merges two lists that are in order, newest first, up to the limit.
func newest(a, b []feed.Post, limit int) []feed.Post {
	if len(a) == 0 {
		return b
	}
	merged := make([]feed.Post, 0, min(len(a)+len(b), limit))
	for len(merged) < limit && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].ID > b[0].ID {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return merged
}

// Follow implements feed.FollowStore.
func (s *Store) Follow(ctx context.Context, followerID, followeeID string) error {
	err := s.do(ctx, "insert follow", func(ctx context.Context) error {
		_, err := s.follows.InsertOne(ctx, followDoc{followerID, followeeID})
		return err
	})
	if mongo.IsDuplicateKeyError(err) {
		return nil
	}
	return err
}

// Unfollow implements feed.FollowStore.
func (s *Store) Unfollow(ctx context.Context, followerID, followeeID string) error {
	return s.do(ctx, "delete follow", func(ctx context.Context) error {
		_, err := s.follows.DeleteOne(ctx, bson.D{{Key: "follower_id", Value: followerID}, {Key: "followee_id", Value: followeeID}})
		return err
	})
}

// Followees implements feed.FollowStore.
func (s *Store) Followees(ctx context.Context, followerID string) ([]string, error) {
	var docs []followDoc
	err := s.do(ctx, "find follows", func(ctx context.Context) error {
		cur, err := s.follows.Find(ctx, bson.D{{Key: "follower_id", Value: followerID}},
			options.Find().SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "followee_id", Value: 1}}))
		if err != nil {
			return err
		}
		return cur.All(ctx, &docs)
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.FolloweeID
	}
	return ids, nil
}

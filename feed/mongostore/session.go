package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo/options"
)

type sessionDoc struct {
	ID        string    `bson:"_id"`
	UserID    string    `bson:"user_id"`
	ExpiresAt time.Time `bson:"expires_at"`
}

// CreateSession implements feed.SessionStore.
func (s *Store) CreateSession(ctx context.Context, id, userID string, expiresAt time.Time) error {
	return s.do(ctx, "insert session", func(ctx context.Context) error {
		_, err := s.sessions.InsertOne(ctx, sessionDoc{id, userID, expiresAt})
		return err
	})
}

// DeleteSession implements feed.SessionStore.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return s.do(ctx, "delete session", func(ctx context.Context) error {
		_, err := s.sessions.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
		return err
	})
}

// SessionExists implements feed.SessionStore.
func (s *Store) SessionExists(ctx context.Context, id, userID string, now time.Time) (bool, error) {
	var n int64
	err := s.do(ctx, "find session", func(ctx context.Context) (err error) {
		n, err = s.sessions.CountDocuments(ctx, bson.D{
			{Key: "_id", Value: id}, {Key: "user_id", Value: userID}, {Key: "expires_at", Value: bson.D{{Key: "$gt", Value: now}}},
		}, options.Count().SetLimit(1))
		return err
	})
	return n > 0, err
}

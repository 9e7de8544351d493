package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/feed"
	"pharos/internal/fault"
)

type apiKeyDoc struct {
	ID         string       `bson:"_id"`
	UserID     string       `bson:"user_id"`
	Name       string       `bson:"name"`
	Scopes     []feed.Scope `bson:"scopes"`
	Prefix     string       `bson:"prefix"`
	Hash       []byte       `bson:"hash"`
	CreatedAt  time.Time    `bson:"created_at"`
	LastUsedAt *time.Time   `bson:"last_used_at,omitempty"`
	ExpiresAt  *time.Time   `bson:"expires_at,omitempty"`
}

func (d apiKeyDoc) key() feed.APIKey {
	return feed.APIKey{
		ID: d.ID, UserID: d.UserID, Name: d.Name, Scopes: d.Scopes, Prefix: d.Prefix,
		CreatedAt: d.CreatedAt.UTC(), LastUsedAt: inUTC(d.LastUsedAt), ExpiresAt: inUTC(d.ExpiresAt),
	}
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// CreateAPIKey implements feed.APIKeyStore. The keys are counted after the
// insert, so that calls at the same moment can't exceed the limit together: all
// of them may be refused then.
func (s *Store) CreateAPIKey(ctx context.Context, k feed.APIKey, hash []byte, limit int) error {
	var n int64
	err := s.do(ctx, "insert API key", func(ctx context.Context) (err error) {
		if _, err = s.keys.InsertOne(ctx, apiKeyDoc{
			ID: k.ID, UserID: k.UserID, Name: k.Name, Scopes: k.Scopes, Prefix: k.Prefix, Hash: hash,
			CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt,
		}); err != nil {
			return err
		}
		n, err = s.keys.CountDocuments(ctx, bson.D{{Key: "user_id", Value: k.UserID}})
		return err
	})
	if mongo.IsDuplicateKeyError(err) {
		return fault.Field(fault.Conflict, "name", "You have a key of this name.")
	}
	if err != nil || n <= int64(limit) {
		return err
	}
	if err := s.DeleteAPIKey(context.WithoutCancel(ctx), k.ID, k.UserID); err != nil {
		return err
	}
	return fault.New(fault.LimitExceeded, "You may have at most %d keys. Revoke one that is not needed.", limit)
}

// APIKeys implements feed.APIKeyStore.
func (s *Store) APIKeys(ctx context.Context, userID string) ([]feed.APIKey, error) {
	var docs []apiKeyDoc
	err := s.do(ctx, "find API keys", func(ctx context.Context) error {
		cur, err := s.keys.Find(ctx, bson.D{{Key: "user_id", Value: userID}}, options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}))
		if err != nil {
			return err
		}
		return cur.All(ctx, &docs)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]feed.APIKey, len(docs))
	for i, d := range docs {
		keys[i] = d.key()
	}
	return keys, nil
}

// APIKey implements feed.APIKeyStore.
func (s *Store) APIKey(ctx context.Context, id string) (feed.APIKey, []byte, error) {
	var d apiKeyDoc
	err := s.do(ctx, "find API key", func(ctx context.Context) error {
		return s.keys.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&d)
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return feed.APIKey{}, nil, noAPIKey()
	}
	return d.key(), d.Hash, err
}

// DeleteAPIKey implements feed.APIKeyStore.
func (s *Store) DeleteAPIKey(ctx context.Context, id, userID string) error {
	return s.do(ctx, "delete API key", func(ctx context.Context) error {
		res, err := s.keys.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "user_id", Value: userID}})
		if err == nil && res.DeletedCount == 0 {
			return noAPIKey()
		}
		return err
	})
}

// UseAPIKey implements feed.APIKeyStore.
func (s *Store) UseAPIKey(ctx context.Context, id string, at time.Time, every time.Duration) error {
	return s.do(ctx, "update API key", func(ctx context.Context) error {
		_, err := s.keys.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "$or", Value: bson.A{
			bson.D{{Key: "last_used_at", Value: nil}},
			bson.D{{Key: "last_used_at", Value: bson.D{{Key: "$lte", Value: at.Add(-every)}}}},
		}}}, bson.D{{Key: "$set", Value: bson.D{{Key: "last_used_at", Value: at}}}})
		return err
	})
}

func noAPIKey() error { return fault.New(fault.NotFound, "You have no such key.") }

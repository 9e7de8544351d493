package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"pharos/feed"
	"pharos/internal/fault"
)

type userDoc struct {
	ID           string     `bson:"_id"`
	Handle       string     `bson:"handle"`
	Name         string     `bson:"name"`
	PasswordHash string     `bson:"password_hash"`
	CreatedAt    time.Time  `bson:"created_at"`
	SuspendedAt  *time.Time `bson:"suspended_at,omitempty"`
}

func (d userDoc) user() feed.User {
	return feed.User{ID: d.ID, Handle: d.Handle, Name: d.Name, CreatedAt: d.CreatedAt.UTC(), SuspendedAt: d.SuspendedAt}
}

// CreateUser implements feed.UserStore.
func (s *Store) CreateUser(ctx context.Context, u feed.User, passwordHash string) error {
	err := s.do(ctx, "insert user", func(ctx context.Context) error {
		_, err := s.users.InsertOne(ctx, userDoc{
			ID: u.ID, Handle: u.Handle, Name: u.Name, PasswordHash: passwordHash, CreatedAt: u.CreatedAt, SuspendedAt: u.SuspendedAt,
		})
		return err
	})
	if mongo.IsDuplicateKeyError(err) {
		return fault.Field(fault.Conflict, "handle", "This handle is taken.")
	}
	return err
}

// UserByHandle implements feed.UserStore.
func (s *Store) UserByHandle(ctx context.Context, handle string) (feed.User, string, error) {
	d, err := s.findUser(ctx, bson.D{{Key: "handle", Value: handle}})
	return d.user(), d.PasswordHash, err
}

// User implements feed.UserStore.
func (s *Store) User(ctx context.Context, id string) (feed.User, error) {
	d, err := s.findUser(ctx, bson.D{{Key: "_id", Value: id}})
	return d.user(), err
}

func (s *Store) findUser(ctx context.Context, filter bson.D) (userDoc, error) {
	var d userDoc
	err := s.do(ctx, "find user", func(ctx context.Context) error { return s.users.FindOne(ctx, filter).Decode(&d) })
	if errors.Is(err, mongo.ErrNoDocuments) {
		return d, noUser()
	}
	return d, err
}

// Users implements feed.UserStore.
func (s *Store) Users(ctx context.Context, ids []string) ([]feed.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var docs []userDoc
	err := s.do(ctx, "find users", func(ctx context.Context) error {
		cur, err := s.users.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
		if err != nil {
			return err
		}
		return cur.All(ctx, &docs)
	})
	if err != nil {
		return nil, err
	}
	users := make([]feed.User, len(docs))
	for i, d := range docs {
		users[i] = d.user()
	}
	return users, nil
}

// SetSuspended implements feed.UserStore.
func (s *Store) SetSuspended(ctx context.Context, id string, at *time.Time) error {
	change := bson.D{{Key: "$unset", Value: bson.D{{Key: "suspended_at", Value: ""}}}}
	if at != nil {
		change = bson.D{{Key: "$set", Value: bson.D{{Key: "suspended_at", Value: *at}}}}
	}
	return s.do(ctx, "update user", func(ctx context.Context) error {
		res, err := s.users.UpdateByID(ctx, id, change)
		if err == nil && res.MatchedCount == 0 {
			return noUser()
		}
		return err
	})
}

func noUser() error { return fault.New(fault.NotFound, "There is no such user.") }

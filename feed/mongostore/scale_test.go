package mongostore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.uber.org/zap"

	"pharos/feed"
	"pharos/feed/rediscache"
	"pharos/feed/storetest"
	"pharos/internal/mongoconn"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

// The sizes that a timeline must bear: whom a reader follows, by how many the
// best known of them is followed, and how much each friend has posted.
const (
	friends        = 5_000
	followers      = 1_000_000
	postsOfAFriend = 3
)

// scaleDB is a database of Redis that no process of the stack uses.
const scaleDB = 12

// crowd is a reader with many friends, one of whom has many followers, and the
// service on real stores.
type crowd struct {
	service              *feed.Service
	reader, star, fan    feed.User // fan is one of the star's followers
	newest               feed.Post
	followersOfTheStar   int64
	readerFollows, posts int64
}

func newCrowd(t testing.TB) *crowd {
	t.Helper()
	store, cfg := openAt(t)
	redisCfg := teststack.Config[redisconn.Config](t)
	redisCfg.DB = scaleDB
	rdb, err := redisconn.Open(redisCfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	redisconn.Guard(rdb, redisCfg, resilience.NewMetrics(prometheus.NewRegistry()), zap.NewNop())
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	cache := rediscache.New(rdb, rediscache.Config{TimelineTTL: time.Hour, SessionFreshFor: 15 * time.Second, SessionTTL: time.Minute}, time.Now)
	hasher, err := feed.NewHasher(1)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{
		service: feed.NewService(feed.Options{
			Store: store, Cache: cache, Sessions: cache, Hasher: hasher, SessionTTL: time.Hour, FreshFor: time.Hour, Direct: 16, MakeWithin: time.Minute,
			Now: time.Now, Report: func(_ context.Context, err error) { t.Log(err) },
		}),
		reader: storetest.User(t, store), star: storetest.User(t, store), fan: storetest.User(t, store),
	}
	db, _, err := mongoconn.Connect(t.Context(), mongoconn.Config(cfg), options.Client())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Client().Disconnect(context.Background()) })
	c.fill(t, db)
	return c
}

// fill inserts in bulk what users would have written one by one.
func (c *crowd) fill(t testing.TB, db *mongo.Database) {
	t.Helper()
	follow := func(follower, followee string) any {
		return bson.D{{Key: "follower_id", Value: follower}, {Key: "followee_id", Value: followee}}
	}
	insert := func(collection string, n int, document func(i int) any) {
		t.Helper()
		const batch = 20_000
		for from := 0; from < n; from += batch {
			docs := make([]any, 0, batch)
			for i := from; i < min(from+batch, n); i++ {
				docs = append(docs, document(i))
			}
			if _, err := db.Collection(collection).InsertMany(t.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ids := make([]string, friends)
	for i := range ids {
		ids[i] = storetest.ID(t)
	}
	ids[friends/2] = c.star.ID
	insert("follows", friends, func(i int) any { return follow(c.reader.ID, ids[i]) })
	// The reader follows the star, too.
	insert("follows", followers-1, func(i int) any {
		if i == 0 {
			return follow(c.fan.ID, c.star.ID)
		}
		return follow(fmt.Sprintf("fan-%07d", i), c.star.ID)
	})
	insert("posts", friends*postsOfAFriend, func(i int) any {
		c.newest = feed.Post{ID: storetest.ID(t), AuthorID: ids[i%friends], Text: "post", CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
		return bson.D{{Key: "_id", Value: c.newest.ID}, {Key: "author_id", Value: c.newest.AuthorID}, {Key: "text", Value: c.newest.Text}, {Key: "created_at", Value: c.newest.CreatedAt}}
	})
	for _, count := range []struct {
		collection string
		filter     bson.D
		into       *int64
	}{
		{"follows", bson.D{{Key: "followee_id", Value: c.star.ID}}, &c.followersOfTheStar},
		{"follows", bson.D{{Key: "follower_id", Value: c.reader.ID}}, &c.readerFollows},
		{"posts", bson.D{}, &c.posts},
	} {
		n, err := db.Collection(count.collection).CountDocuments(t.Context(), count.filter)
		if err != nil {
			t.Fatal(err)
		}
		*count.into = n
	}
}

// read returns the ids of the first page, or of the one after cursor.
func (c *crowd) read(t testing.TB, u feed.User, cursor string) (ids []string, next string, from feed.Source) {
	t.Helper()
	page, err := c.service.Timeline(t.Context(), u.ID, feed.MaxLimit, cursor)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Items      []feed.Item
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(page.JSON, &body); err != nil || page.Degraded != nil {
		t.Fatalf("degraded by %v, %v", page.Degraded, err)
	}
	for _, item := range body.Items {
		ids = append(ids, item.ID)
	}
	return ids, body.NextCursor, page.Source
}

func (c *crowd) post(t testing.TB) feed.Post {
	t.Helper()
	p, err := c.service.CreatePost(t.Context(), c.star.ID, "hello, everyone", "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestManyFriendsAndManyFollowers(t *testing.T) {
	c := newCrowd(t)
	if c.followersOfTheStar != followers || c.readerFollows != friends || c.posts != friends*postsOfAFriend {
		t.Fatalf("filled wrongly: %+v", c)
	}
	// Page after page, in order, without a gap or a double.
	total, last := 0, "~"
	for cursor := ""; ; {
		ids, next, _ := c.read(t, c.reader, cursor)
		for _, id := range ids {
			if id >= last {
				t.Fatalf("%s comes after %s", id, last)
			}
			last = id
		}
		if total += len(ids); next == "" || total >= 1000 {
			break
		}
		cursor = next
	}
	if total != 1000 {
		t.Errorf("%d posts on ten pages", total)
	}
	if ids, _, from := c.read(t, c.reader, ""); from != feed.FromCache || ids[0] != c.newest.ID {
		t.Errorf("again: from %s", from)
	}
	// One post reaches the friend of thousands and the fan among a million.
	c.read(t, c.fan, "")
	p := c.post(t)
	for _, u := range []feed.User{c.reader, c.fan} {
		if ids, _, from := c.read(t, u, ""); ids[0] != p.ID || from != feed.FromMongoDB {
			t.Errorf("the new post is missing (from %s)", from)
		}
		if ids, _, from := c.read(t, u, ""); ids[0] != p.ID || from != feed.FromCache {
			t.Errorf("the new post is missing from the kept page (from %s)", from)
		}
	}
}

// BenchmarkCrowd says what a timeline costs: a read that finds its page, one
// that has to make it, and a post by the author with the million followers.
func BenchmarkCrowd(b *testing.B) {
	c := newCrowd(b)
	c.read(b, c.reader, "")
	b.Run("hit of 5000 friends", func(b *testing.B) {
		for b.Loop() {
			c.read(b, c.reader, "")
		}
	})
	c.read(b, c.fan, "")
	b.Run("hit of 1 friend", func(b *testing.B) {
		for b.Loop() {
			c.read(b, c.fan, "")
		}
	})
	b.Run("post to 1000000 followers", func(b *testing.B) {
		for b.Loop() {
			c.post(b)
		}
	})
	b.Run("miss of 5000 friends", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			c.post(b)
			b.StartTimer()
			c.read(b, c.reader, "")
		}
	})
	b.Run("miss of 1 friend", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			c.post(b)
			b.StartTimer()
			c.read(b, c.fan, "")
		}
	})
}

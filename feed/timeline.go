package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"pharos/internal/fault"
)

// Item is a post as a timeline shows it.
type Item struct {
	ID        string    `json:"id"`
	Author    User      `json:"author"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
}

// Page is one page of a user's timeline in the form in which it is served and
// cached: {"items":[Item…],"next_cursor":"…"}, next_cursor "" on the last page.
type Page struct {
	JSON     []byte
	Count    int           // items on the page
	Source   Source        // where it came from this time
	Degraded []Part        // what was away when it was served
	Age      time.Duration // since it was made; 0 for one that was just made
}

// Part names a part of the system that an answer can be made without.
type Part string

// The parts that can be done without.
const (
	CachePart   Part = "cache"
	MongoDBPart Part = "mongodb"
)

// Source names the store that an answer came from.
type Source string

// The sources of answers.
const (
	FromCache   Source = "cache"
	FromMongoDB Source = "mongodb"
	FromMySQL   Source = "mysql"
)

// PageKey names a page.
type PageKey struct {
	UserID string
	Limit  int
	Before string // id of the post that the page begins after; "" for the newest
}

// An Origin is something that pages are made from and that changes as a whole:
// whom a user follows, or the posts of an author.
type Origin string

// FollowsOf is the origin "whom the user follows".
func FollowsOf(userID string) Origin { return Origin("follows:" + userID) }

// PostsOf is the origin "the posts of the author".
func PostsOf(authorID string) Origin { return Origin("posts:" + authorID) }

// Kept is a page as the cache has it.
type Kept struct {
	Page
	MadeAt time.Time
	// Changed is set when one of the page's origins has changed since: it is
	// served only when the stores are away.
	Changed bool
}

// TimelineCache keeps pages.
//
// A change of an origin is told once, whatever the number of followers. A
// reader that misses reads the versions of the origins first and the stores
// after, so that a page is never kept under a version newer than what it holds.
type TimelineCache interface {
	// Page returns the page if it is kept.
	Page(ctx context.Context, key PageKey) (Kept, bool, error)
	// Versions returns the present version of each origin.
	Versions(ctx context.Context, origins []Origin) ([]string, error)
	// Keep keeps a page that was made at the given time from the origins at
	// these versions.
	Keep(ctx context.Context, key PageKey, p Kept, origins []Origin, versions []string) error
	// Changed gives the origin a new version.
	Changed(ctx context.Context, o Origin) error
}

// Timeline returns a page of the posts of those whom the user follows, newest
// first.
//
// A kept page whose origins are unchanged is served as it is; when it is older
// than FreshFor it is also made anew in the background, in case a change was
// not told. Without the cache the page is read from the stores, a bounded
// number at once; without the stores it is served from the cache as it was. The
// page says which of them were away.
func (s *Service) Timeline(ctx context.Context, userID string, limit int, cursor string) (_ Page, err error) {
	defer s.recorder.Track("feed.Timeline")(&err)
	if err := validateLimit(limit); err != nil {
		return Page{}, err
	}
	before, err := decodeCursor("post", cursor)
	if err != nil {
		return Page{}, err
	}
	key := PageKey{userID, limit, before}
	kept, found, err := s.cache.Page(ctx, key)
	if err != nil {
		return s.withoutCache(ctx, key, err)
	}
	age := s.now().Sub(kept.MadeAt)
	if found && !kept.Changed {
		if age > s.freshFor {
			s.pages.refresh(ctx, key)
		}
		kept.Source, kept.Age = FromCache, age
		return kept.Page, nil
	}
	page, err := s.pages.get(ctx, key)
	if err != nil && found && isOutage(err) {
		s.report(ctx, fmt.Errorf("timeline of %s ago served: %w", age.Round(time.Second), err))
		kept.Source, kept.Age, kept.Degraded = FromCache, age, []Part{MongoDBPart}
		return kept.Page, nil
	}
	return page, err
}

// isOutage tells a store that is away from one that answered: an answer is a
// fault about the request.
func isOutage(err error) bool {
	return fault.From(err).Status() >= http.StatusInternalServerError
}

func (s *Service) withoutCache(ctx context.Context, key PageKey, cause error) (Page, error) {
	s.report(ctx, fmt.Errorf("timeline without cache: %w", cause))
	if s.direct.Acquire(ctx, 1) != nil {
		f := fault.New(fault.Overloaded, "The feed is busy just now.")
		f.RetryAfter = time.Second
		return Page{}, fmt.Errorf("read timeline without cache: %w", f)
	}
	defer s.direct.Release(1)
	page, err := s.buildPage(ctx, key, &originVersions{err: cause})
	page.Degraded = []Part{CachePart}
	return page, err
}

// makePage reads a page from the stores and keeps it.
func (s *Service) makePage(ctx context.Context, key PageKey) (Page, error) {
	madeAt := s.now()
	var versions originVersions
	page, err := s.buildPage(ctx, key, &versions)
	if err != nil {
		return Page{}, err
	}
	if versions.err == nil {
		versions.err = s.cache.Keep(ctx, key, Kept{Page: page, MadeAt: madeAt}, versions.origins, versions.values)
	}
	if versions.err != nil {
		page.Degraded = []Part{CachePart}
		s.report(ctx, fmt.Errorf("keep timeline: %w", versions.err))
	}
	return page, nil
}

// originVersions collects the versions of what a page is made from.
type originVersions struct {
	origins []Origin
	values  []string
	err     error // the first failure; nothing is collected after it
}

func (v *originVersions) note(ctx context.Context, cache TimelineCache, origins ...Origin) {
	if v.err != nil || len(origins) == 0 {
		return
	}
	values, err := cache.Versions(ctx, origins)
	if err != nil {
		v.err = fmt.Errorf("read versions of a timeline's origins: %w", err)
		return
	}
	v.origins = append(v.origins, origins...)
	v.values = append(v.values, values...)
}

// buildPage reads a page from the stores. Each origin's version is noted before
// the origin is read.
func (s *Service) buildPage(ctx context.Context, key PageKey, versions *originVersions) (Page, error) {
	versions.note(ctx, s.cache, FollowsOf(key.UserID))
	authors, err := s.store.Followees(ctx, key.UserID)
	if err != nil {
		return Page{}, fmt.Errorf("read whom the user follows: %w", err)
	}
	origins := make([]Origin, len(authors))
	for i, id := range authors {
		origins[i] = PostsOf(id)
	}
	versions.note(ctx, s.cache, origins...)

	posts, err := s.store.PostsBy(ctx, authors, key.Before, key.Limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("read timeline: %w", err)
	}
	next := ""
	if len(posts) > key.Limit {
		posts = posts[:key.Limit]
		next = encodeCursor("post", posts[key.Limit-1].ID)
	}
	items, err := s.items(ctx, posts)
	if err != nil {
		return Page{}, err
	}
	body, err := json.Marshal(struct {
		Items      []Item `json:"items"`
		NextCursor string `json:"next_cursor"`
	}{items, next})
	if err != nil {
		return Page{}, fmt.Errorf("encode timeline: %w", err)
	}
	return Page{JSON: body, Count: len(items), Source: FromMongoDB}, nil
}

func (s *Service) items(ctx context.Context, posts []Post) ([]Item, error) {
	authors := map[string]User{}
	for _, p := range posts {
		authors[p.AuthorID] = User{ID: p.AuthorID}
	}
	ids := make([]string, 0, len(authors))
	for id := range authors {
		ids = append(ids, id)
	}
	users, err := s.store.Users(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read authors: %w", err)
	}
	for _, u := range users {
		authors[u.ID] = u
	}
	items := make([]Item, len(posts))
	for i, p := range posts {
		items[i] = Item{ID: p.ID, Author: authors[p.AuthorID], Text: p.Text, CreatedAt: p.CreatedAt}
	}
	return items, nil
}

// CreatePost adds a post by the user. An effect that is not "" is had once: a
// second call with it returns the first post, or fault.KeyReused where that has
// another text. So a request that is sent again because its process died has
// one effect, even when nothing else remembers it.
func (s *Service) CreatePost(ctx context.Context, authorID, text, effect string) (_ Post, err error) {
	defer s.recorder.Track("feed.CreatePost")(&err)
	if err := ValidateText(text); err != nil {
		return Post{}, err
	}
	id, at, err := newID()
	if err != nil {
		return Post{}, err
	}
	p, err := s.store.CreatePost(ctx, Post{ID: id, AuthorID: authorID, Text: text, CreatedAt: at}, effect)
	if err != nil {
		return Post{}, fmt.Errorf("create post: %w", err)
	}
	if p.Text != text {
		return Post{}, fault.Field(fault.KeyReused, "Idempotency-Key", "The key was used for another post.")
	}
	// Also for a post that was there: who made it may have died before this.
	s.changes.tell(ctx, PostsOf(authorID))
	return p, nil
}

// DeletePost removes the user's own post.
func (s *Service) DeletePost(ctx context.Context, authorID, id string) (err error) {
	defer s.recorder.Track("feed.DeletePost")(&err)
	if err := s.store.DeletePost(ctx, id, authorID); err != nil {
		return fmt.Errorf("delete post: %w", err)
	}
	s.changes.tell(ctx, PostsOf(authorID))
	return nil
}

// Follow makes the user follow the one with the handle.
func (s *Service) Follow(ctx context.Context, userID, handle string) (err error) {
	defer s.recorder.Track("feed.Follow")(&err)
	followee, err := s.followee(ctx, userID, handle)
	if err != nil {
		return err
	}
	if err := s.store.Follow(ctx, userID, followee); err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	s.changes.tell(ctx, FollowsOf(userID))
	return nil
}

// Unfollow is the reverse of Follow.
func (s *Service) Unfollow(ctx context.Context, userID, handle string) (err error) {
	defer s.recorder.Track("feed.Unfollow")(&err)
	followee, err := s.followee(ctx, userID, handle)
	if err != nil {
		return err
	}
	if err := s.store.Unfollow(ctx, userID, followee); err != nil {
		return fmt.Errorf("unfollow: %w", err)
	}
	s.changes.tell(ctx, FollowsOf(userID))
	return nil
}

func (s *Service) followee(ctx context.Context, userID, handle string) (string, error) {
	u, _, err := s.store.UserByHandle(ctx, handle)
	if fault.Is(err, fault.NotFound) {
		return "", fault.Field(fault.NotFound, "handle", "There is no user with this handle.")
	}
	if err != nil {
		return "", fmt.Errorf("find user to follow: %w", err)
	}
	if u.ID == userID {
		return "", fault.Field(fault.InvalidParameter, "handle", "handle must be another user's.")
	}
	return u.ID, nil
}

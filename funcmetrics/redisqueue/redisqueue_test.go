package redisqueue_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

// testDB is a database of Redis that only these tests use: the keys have
// fixed names.
const testDB = 11

func open(t *testing.T, limit int) (*redisqueue.Queue, *redis.Client) {
	cfg := teststack.Config[redisconn.Config](t)
	cfg.DB = testDB
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return redisqueue.New(rdb, redisqueue.Config{Max: limit}), rdb
}

func records(n int, name string) []funcmetrics.Record {
	rs := make([]funcmetrics.Record, n)
	for i := range rs {
		rs[i] = funcmetrics.Record{ID: uuid.Must(uuid.NewV7()).String(), FuncName: name, Seconds: 0.25, Failed: i%2 == 1, At: 1_800_000_000}
	}
	return rs
}

func TestWhatIsInRedis(t *testing.T) {
	q, rdb := open(t, 100)
	r := funcmetrics.Record{ID: "0190b3a0-0000-7000-8000-000000000001", FuncName: "feed.Timeline", Seconds: 0.125, Failed: true, At: 1_800_000_000}
	if err := q.Push(t.Context(), "b1", []funcmetrics.Record{r}); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"0190b3a0-0000-7000-8000-000000000001","func_name":"feed.Timeline","execution_time":0.125,"error_occurred":true,"created_at":1800000000}`
	if got := rdb.LRange(t.Context(), "metrics_list", 0, -1).Val(); !cmp.Equal(got, []string{want}) {
		t.Errorf("metrics_list is %q", got)
	}
	if diff := cmp.Diff(map[string]string{"calls": "1", "errors": "1", "total_time": "0.125"}, rdb.HGetAll(t.Context(), "app:metrics:feed.Timeline").Val()); diff != "" {
		t.Error(diff)
	}
}

func TestPushOnceAndWithinTheLimit(t *testing.T) {
	q, rdb := open(t, 10)
	rs := append(records(4, "f"), records(2, "g")...)
	for range 3 {
		if err := q.Push(t.Context(), "b1", rs); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Push(t.Context(), "b2", records(5, "f")); !errors.Is(err, funcmetrics.ErrFull) {
		t.Errorf("a full list: %v", err)
	}
	if n, err := q.Len(t.Context()); n != 6 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if diff := cmp.Diff(map[string]string{"calls": "4", "errors": "2", "total_time": "1"}, rdb.HGetAll(t.Context(), "app:metrics:f").Val()); diff != "" {
		t.Error(diff)
	}
	if err := q.Push(t.Context(), "b2", records(4, "f")); err != nil {
		t.Errorf("what fits: %v", err)
	}
}

func TestTakeAndRemove(t *testing.T) {
	q, rdb := open(t, 1000)
	rs := records(5, "f")
	if err := q.Push(t.Context(), "b1", rs); err != nil {
		t.Fatal(err)
	}
	take := func(lease time.Duration) funcmetrics.Batch {
		b, err := q.Take(t.Context(), 3, lease)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first, second, none := take(time.Second), take(time.Minute), take(time.Minute)
	if !slices.Equal(first.Records, rs[:3]) || !slices.Equal(second.Records, rs[3:]) || none.ID != "" {
		t.Fatalf("took %v, %v, %v", first, second, none)
	}
	live, err := q.Snapshot(t.Context())
	if err != nil || len(live) != 5 {
		t.Errorf("%d live, %v", len(live), err)
	}
	time.Sleep(1100 * time.Millisecond)
	if again := take(time.Minute); again.ID != first.ID || !slices.Equal(again.Records, first.Records) {
		t.Errorf("abandoned batch: %v", again)
	}
	if late := take(time.Minute); late.ID != "" {
		t.Errorf("taken twice: %v", late)
	}
	for _, id := range []string{first.ID, first.ID, second.ID} {
		if err := q.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if keys := rdb.Keys(t.Context(), "metrics_[lr]*").Val(); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
	if n := rdb.Exists(t.Context(), "metrics_processing", "metrics_processing:"+first.ID).Val(); n != 0 {
		t.Error("batches are left")
	}
}

func TestRubbishIsPutAside(t *testing.T) {
	q, rdb := open(t, 1000)
	good := records(1, "f")
	if err := q.Push(t.Context(), "b1", good); err != nil {
		t.Fatal(err)
	}
	rubbish := []any{"", "{", `{"id":"x"}`, `[]`, `{"id":"0190b3a0-0000-7000-8000-000000000001","func_name":"f","execution_time":-1,"created_at":1}`,
		`{"id":"0190b3a0-0000-7000-8000-000000000001","func_name":"f","execution_time":1,"created_at":1e300}`}
	if err := rdb.RPush(t.Context(), "metrics_list", rubbish...).Err(); err != nil {
		t.Fatal(err)
	}
	b, err := q.Take(t.Context(), 100, time.Minute)
	if err != nil || !slices.Equal(b.Records, good) || b.Rejected != len(rubbish) {
		t.Errorf("took %+v, %v", b, err)
	}
	if n := rdb.LLen(t.Context(), "metrics_rejected").Val(); int(n) != len(rubbish) {
		t.Errorf("%d put aside", n)
	}
}

// Every record is taken by exactly one of many savers, while recorders push.
func TestManyAtOnce(t *testing.T) {
	q, _ := open(t, 100_000)
	const pushers, batches, size = 4, 25, 20
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		taken = map[string]int{}
	)
	for p := range pushers {
		wg.Go(func() {
			for b := range batches {
				if err := q.Push(t.Context(), fmt.Sprint(p, "/", b), records(size, "f")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
				b, err := q.Take(t.Context(), 33, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, r := range b.Records {
					taken[r.ID]++
				}
				done := len(taken) == pushers*batches*size
				mu.Unlock()
				if b.ID == "" && done {
					return
				}
				if err := q.Remove(t.Context(), b.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(taken) != pushers*batches*size {
		t.Errorf("%d records taken", len(taken))
	}
	for id, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
}

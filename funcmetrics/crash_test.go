package funcmetrics_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/funcmetrics/sqlstore"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

// Variables that make this test's binary a saver that kills itself.
const (
	crashAt   = "FUNCMETRICS_TEST_CRASH_AT"
	crashDB   = 12 // a database of Redis that only this test uses
	leaseTime = time.Second
)

func TestMain(m *testing.M) {
	if step := os.Getenv(crashAt); step != "" {
		if err := crashingSaver(step); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type real struct {
	rdb   *redis.Client
	queue *redisqueue.Queue
	store *sqlstore.Store
}

func openReal(redisCfg redisconn.Config, sqlCfg sqlstore.Config) (real, error) {
	redisCfg.DB = crashDB
	rdb, err := redisconn.Open(redisCfg)
	if err != nil {
		return real{}, err
	}
	store, err := sqlstore.Open(sqlCfg)
	return real{rdb, redisqueue.New(rdb, redisqueue.Config{Max: 100_000}), store}, err
}

func saverConfig() funcmetrics.SaverConfig {
	return funcmetrics.SaverConfig{Every: 10 * time.Millisecond, Limit: 1, Batch: 7, Look: time.Millisecond, Lease: leaseTime}
}

// crashing kills its process, as by kill -9, before or after the named step.
type crashing struct {
	real
	at string
}

func (c crashing) step(name string) {
	if c.at == name {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c crashing) Len(ctx context.Context) (int, error) { return c.queue.Len(ctx) }

func (c crashing) Take(ctx context.Context, limit int, lease time.Duration) (funcmetrics.Batch, error) {
	c.step("before take")
	b, err := c.queue.Take(ctx, limit, lease)
	c.step("after take")
	return b, err
}

func (c crashing) Insert(ctx context.Context, rs []funcmetrics.Record) error {
	if c.at == "within insert" {
		go func() { time.Sleep(rand.N(3 * time.Millisecond)); c.step(c.at) }()
	}
	err := c.store.Insert(ctx, rs)
	c.step("after insert")
	return err
}

func (c crashing) Remove(ctx context.Context, id string) error {
	if c.at == "within remove" {
		go func() { time.Sleep(rand.N(time.Millisecond)); c.step(c.at) }()
	}
	err := c.queue.Remove(ctx, id)
	c.step("after remove")
	return err
}

// crashingSaver saves until it is killed. It prints a line when it begins.
func crashingSaver(step string) error {
	t := &testing.B{} // only so that the settings can be read the usual way
	r, err := openReal(teststack.Config[redisconn.Config](t), teststack.Config[sqlstore.Config](t))
	if err != nil {
		return err
	}
	c := crashing{r, step}
	fmt.Println("saving")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return funcmetrics.NewSaver(c, c, saverConfig(), func(_ context.Context, err error) { fmt.Println(err) }).Run(ctx)
}

func TestKilledSaverLosesAndDoublesNothing(t *testing.T) {
	r, err := openReal(teststack.Config[redisconn.Config](t), teststack.Config[sqlstore.Config](t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.store.Migrate(t.Context()), r.rdb.FlushDB(t.Context()).Err()); err != nil {
		t.Fatal(err)
	}
	name := "test." + uuid.NewString()
	push := func(n int) {
		rs := make([]funcmetrics.Record, n)
		for i := range rs {
			rs[i] = funcmetrics.Record{ID: uuid.Must(uuid.NewV7()).String(), FuncName: name, Seconds: 0.5, Failed: i%4 == 0, At: time.Now().Unix()}
		}
		if err := r.queue.Push(t.Context(), uuid.NewString(), rs); err != nil {
			t.Fatal(err)
		}
	}
	reader := funcmetrics.Reader{Live: r.queue, History: r.store}
	check := func(after string, pushed int64) {
		t.Helper()
		f, err := reader.Get(t.Context(), name, funcmetrics.Always())
		if err != nil || f.Calls != pushed {
			t.Errorf("%s: %d of %d calls are counted, %v", after, f.Calls, pushed, err)
		}
	}

	total := int64(0)
	for _, step := range []string{
		"before take", "after take", "within insert", "within insert", "within insert", "after insert", "within remove", "after remove", "any time", "any time", "any time",
	} {
		push(40)
		total += 40
		runUntilKilled(t, step)
		check("killed "+step, total)
	}
	// Every abandoned batch's lease ends; then a saver that lives saves it all.
	time.Sleep(leaseTime + 100*time.Millisecond)
	if err := funcmetrics.NewSaver(r.queue, r.store, saverConfig(), func(_ context.Context, err error) { t.Error(err) }).Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live, err := r.queue.Snapshot(t.Context()); err != nil || len(live) > 0 {
		t.Errorf("%d records are left in Redis, %v", len(live), err)
	}
	saved, err := r.store.Read(t.Context(), name, funcmetrics.Always(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := r.store.Read(t.Context(), name, funcmetrics.Range{From: time.Now().Unix() - 1800, To: time.Now().Unix() + 1800}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum, table := saved.Functions[name].Calls, rows.Functions[name].Calls; sum != total || table != total {
		t.Errorf("of %d records, the sums have %d and the table has %d", total, sum, table)
	}
	calls, err := strconv.ParseInt(r.rdb.HGet(t.Context(), "app:metrics:"+name, "calls").Val(), 10, 64)
	if err != nil || calls != total {
		t.Errorf("the total in Redis is %d, %v", calls, err)
	}
}

// runUntilKilled runs a saver that dies at the step, or is killed after a
// random time for "any time".
func runUntilKilled(t *testing.T, step string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashAt+"="+step)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var said []string
	if lines.Scan() && lines.Text() == "saving" && step == "any time" {
		time.Sleep(rand.N(20 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s: it was not killed: %v: %s", step, err, strings.Join(said, "; "))
	}
}

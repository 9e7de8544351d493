// Package lease shares shards among processes: each shard is held by one process
// at a time, by a document that the holder keeps changing.
//
// No clocks are compared. Whoever waits for a lease to end watches its document
// and counts, by a clock of its own, how long it has not changed; whoever holds
// one counts from before it wrote. So processes agree as long as their clocks run
// at about the same pace.
package lease

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lease is a document: that of a shard, or that by which a process says that it
// lives.
type Lease struct {
	ID     string        `json:"-"`      // shard-3, member-0
	Holder string        `json:"holder"` // empty: nobody, it was given back
	TTL    time.Duration `json:"ttl_ns"`
	Beat   int64         `json:"beat"` // one more at each write
	// Report is what a member tells of itself.
	Report   json.RawMessage `json:"report,omitempty"`
	Revision Revision        `json:"-"`
}

// Revision names a document's state, as Elasticsearch does. The zero value is
// that of a document that is not there.
type Revision struct{ SeqNo, PrimaryTerm int64 }

const (
	shardPrefix  = "shard-"
	memberPrefix = "member-"
)

func shardID(n int) string { return shardPrefix + strconv.Itoa(n) }

// Of is the shard, of so many, that a watch belongs to.
func Of(watchID string, shards int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(watchID))
	return int(h.Sum32() % uint32(shards))
}

// observed is a lease and since when it has looked like that.
type observed struct {
	Lease
	since time.Time
}

// ended reports whether the holder has given the lease back, or has not renewed
// it for longer than it may. The quarter more is for clocks of another pace, and
// for what a holder does between looking at its clock and acting.
func (o observed) ended(now time.Time) bool {
	return o.Holder == "" || now.Sub(o.since) > o.TTL+o.TTL/4
}

// plan is what a process is to do with the shards.
type plan struct {
	take []int // not held by anybody
	give []int // too many
}

// decide shares the shards evenly among the members that live: each takes what
// nobody holds until it has its part, and gives back what it has beyond that.
func decide(self string, held []int, shards int, seen map[string]observed, now time.Time) plan {
	living := map[string]bool{self: true}
	for id, o := range seen {
		if strings.HasPrefix(id, memberPrefix) && !o.ended(now) {
			living[o.Holder] = true
		}
	}
	part := (shards + len(living) - 1) / len(living)
	var p plan
	if len(held) > part {
		p.give = slices.Sorted(slices.Values(held))[part:]
		return p
	}
	// Each begins elsewhere, so that those who start together rarely collide.
	start := Of(self, shards)
	for i := range shards {
		n := (start + i) % shards
		if len(held)+len(p.take) == part {
			break
		}
		o, there := seen[shardID(n)]
		if !slices.Contains(held, n) && (!there || o.ended(now)) {
			p.take = append(p.take, n)
		}
	}
	return p
}

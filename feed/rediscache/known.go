package rediscache

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/hashicorp/golang-lru/v2"
)

// maxKnown is how many origins of a page are remembered at most, and
// knownPages of how many pages: together some ten megabytes.
const (
	maxKnown   = 200
	knownPages = 2000
)

// origins are the keys of a page's versions, and their hash.
type origins struct {
	set  string
	keys []string
}

// knownOrigins remembers what pages were made from. Whoever knows that reads a
// page and its versions by two plain commands in one round trip; the script,
// which has to find out first, takes Redis ten times as long. What is
// remembered may be out of date: the page names its set.
type knownOrigins struct{ pages *lru.Cache[string, origins] }

func newKnownOrigins() *knownOrigins {
	pages, _ := lru.New[string, origins](knownPages) // fails for no size only
	return &knownOrigins{pages}
}

func (k *knownOrigins) of(page string) (origins, bool) { return k.pages.Get(page) }

func (k *knownOrigins) forget(page string) { k.pages.Remove(page) }

// add remembers the keys, which are separated by spaces. There are none where
// they are too many, and no set where a former version kept the page.
func (k *knownOrigins) add(page, set, keys string) {
	if set != "" && keys != "" {
		k.pages.Add(page, origins{set, strings.Split(keys, " ")})
	}
}

// setOf is the name of a set of origins: 128 bits of SHA-256.
func setOf(keys string) string {
	sum := sha256.Sum256([]byte(keys))
	return hex.EncodeToString(sum[:16])
}

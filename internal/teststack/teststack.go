// Package teststack joins tests to the servers that dev/with-stack has started
// for them.
package teststack

import (
	"os"
	"testing"

	"pharos/internal/env"
)

// Config reads settings of type C from the stack's environment. Without a
// stack the test is skipped.
func Config[C any](t testing.TB) C {
	t.Helper()
	Need(t)
	var c C
	if err := env.Parse(&c); err != nil {
		t.Fatalf("dev/with-stack gives no usable environment: %v", err)
	}
	return c
}

// Need skips the test where there is no stack.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv("PHAROS_TEST_STACK") == "" {
		t.Skip("SKIPPED: needs real servers; run `make test`, or `dev/with-stack go test ./...`")
	}
}

package elastic

import "testing"

func TestStreamOf(t *testing.T) {
	t.Parallel()
	for index, want := range map[string]string{
		".ds-logs-nginx.access-default-2026.11.21-000001": "logs-nginx.access-default",
		".ds-a-2026.11.21-000001-2026.11.21-000002":       "a-2026.11.21-000001",
		"pharos-watches": "pharos-watches", ".ds-x": ".ds-x",
	} {
		if got := StreamOf(index); got != want {
			t.Errorf("%s: %s", index, got)
		}
	}
}

// Package assets is the console's script and style, made of src by the bundle
// command at `make build`.
package assets

import (
	"embed"
	"fmt"
	"io/fs"

	"pharos/internal/look"
)

//go:embed all:dist
var files embed.FS

// New returns the assets, to be served under base. It fails in a binary that was
// built without them.
func New(base string) (*look.Assets, error) {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	for _, name := range []string{"console.js", "console.css"} {
		if _, err := fs.Stat(dist, name); err != nil {
			return nil, fmt.Errorf("console/assets/dist has no %s: make build makes it", name)
		}
	}
	return look.NewAssets(base, dist)
}

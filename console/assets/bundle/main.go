// Command bundle makes the console's script and style from src and the packages
// that npm put into node_modules, into dist, from where they go into the binary.
// usage: go run ./console/assets/bundle   (in the repository's root)
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	os.Exit(run())
}

func run() int {
	root := filepath.Join("console", "assets")
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{filepath.Join(root, "src", "console.js"), filepath.Join(root, "src", "console.css")},
		Outdir:            filepath.Join(root, "dist"),
		Bundle:            true,
		Write:             true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Format:            api.FormatIIFE,
		Target:            api.ES2022,
		LegalComments:     api.LegalCommentsEndOfFile, // the licences of what is bundled
		LogLevel:          api.LogLevelWarning,
		Engines:           []api.Engine{{Name: api.EngineChrome, Version: "123"}, {Name: api.EngineFirefox, Version: "120"}, {Name: api.EngineSafari, Version: "17.5"}},
	})
	if len(result.Errors) > 0 {
		return 1 // esbuild has said why
	}
	for _, f := range result.OutputFiles {
		fmt.Printf("%s: %d bytes\n", f.Path, len(f.Contents))
	}
	return 0
}

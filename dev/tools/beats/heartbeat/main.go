// Command heartbeat is Elastic's uptime prober, built from its source with
// the http, tcp and icmp monitors.
package main

import (
	"os"

	"github.com/elastic/beats/v7/heartbeat/cmd"

	_ "github.com/elastic/beats/v7/heartbeat/include"
)

func main() {
	if err := cmd.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}

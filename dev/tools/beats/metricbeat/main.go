// Command metricbeat is Elastic's shipper of measurements, built from its
// source with the modules that metricbeat.yml names.
package main

import (
	"os"

	"github.com/elastic/beats/v7/libbeat/cmd"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"
	"github.com/elastic/beats/v7/libbeat/common"
	_ "github.com/elastic/beats/v7/libbeat/processors/script"
	"github.com/elastic/beats/v7/libbeat/publisher/processing"
	"github.com/elastic/beats/v7/metricbeat/beater"
	_ "github.com/elastic/beats/v7/metricbeat/module/mysql"
	_ "github.com/elastic/beats/v7/metricbeat/module/mysql/status"
	_ "github.com/elastic/beats/v7/metricbeat/module/nginx"
	_ "github.com/elastic/beats/v7/metricbeat/module/nginx/stubstatus"
	_ "github.com/elastic/beats/v7/metricbeat/module/prometheus"
	_ "github.com/elastic/beats/v7/metricbeat/module/prometheus/collector"
	_ "github.com/elastic/beats/v7/metricbeat/module/redis"
	_ "github.com/elastic/beats/v7/metricbeat/module/redis/info"
	_ "github.com/elastic/beats/v7/metricbeat/module/redis/keyspace"
	_ "github.com/elastic/beats/v7/metricbeat/module/system"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/cpu"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/diskio"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/filesystem"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/load"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/memory"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/network"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/process_summary"
)

func main() {
	settings := instance.Settings{
		Name: "metricbeat",
		Processing: processing.MakeDefaultSupport(true, processing.WithFields(common.MapStr{"ecs": common.MapStr{"version": "1.12.0"}}),
			processing.WithHost, processing.WithAgentMeta()),
	}
	if err := cmd.GenRootCmdWithSettings(beater.DefaultCreator(), settings).Execute(); err != nil {
		os.Exit(1)
	}
}

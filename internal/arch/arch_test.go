// Package arch holds the import rule of this repository as a test.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "pharos/"

// may lists, for each of our packages, which of our packages it may import.
// Packages under internal/ are plumbing that anyone may import; among
// themselves they follow plumbing.
var may = map[string][]string{
	// thinking
	"tasks":             {},
	"vulnscan":          {},
	"feed":              {"funcmetrics"},
	"funcmetrics":       {},
	"jobs":              {"jobs/bigdec", "tasks"},
	"jobs/bigdec":       {},
	"shop":              {"funcmetrics"},
	"watcher":           {"watcher/alert", "watcher/datemath", "watcher/document", "watcher/fields", "watcher/httpcall", "watcher/mustache", "watcher/painless", "watcher/schedule"},
	"watcher/datemath":  {},
	"slo":               {"watcher/document"},
	"slo/rollup":        {"elastic", "slo", "watcher/document"},
	"backup":            {},
	"retention":         {},
	"retention/sweep":   {"elastic", "retention"},
	"signals":           {"elastic"},
	"watcher/document":  {},
	"watcher/mustache":  {"watcher/document"},
	"watcher/painless":  {"watcher/document"},
	"watcher/schedule":  {"watcher/document"},
	"watcher/fields":    {"watcher/document", "watcher/mustache"},
	"watcher/httpcall":  {"watcher/document", "watcher/fields", "watcher/mustache"},
	"watcher/alert":     {"watcher/document", "watcher/fields"},
	"incident":          {"watcher/alert"},
	"watcher/alerting":  {"watcher", "watcher/alert", "watcher/document", "watcher/outbox"},
	"watcher/outbox":    {"watcher/httpcall"},
	"watcher/lease":     {},
	"watcher/scheduler": {"watcher", "watcher/document", "watcher/lease", "watcher/schedule"},
	"watcher/shipped":   {"watcher", "watcher/document"},
	"watcher/watchdog":  {"watcher/document", "watcher/outbox"},
	// adapters
	"backup/mongobackup":       {},
	"backup/sqlbackup":         {},
	"feed/storetest":           {"feed"},
	"feed/mongostore":          {"feed"},
	"feed/rediscache":          {"feed"},
	"feed/sqlstore":            {"feed"},
	"feed/feedhttp":            {"feed"},
	"watcher/action/email":     {"watcher", "watcher/document", "watcher/fields", "watcher/httpcall", "watcher/mustache"},
	"watcher/action/index":     {"watcher", "watcher/document", "watcher/fields"},
	"watcher/action/logging":   {"watcher", "watcher/document", "watcher/fields", "watcher/mustache"},
	"watcher/action/pagerduty": {"watcher", "watcher/alert", "watcher/alerting", "watcher/document", "watcher/fields", "watcher/httpcall", "watcher/mustache", "watcher/outbox"},
	"watcher/action/slack":     {"watcher", "watcher/alert", "watcher/alerting", "watcher/document", "watcher/fields", "watcher/httpcall", "watcher/mustache", "watcher/outbox"},
	"incident/incidentstore":   {"incident", "watcher/esdoc"},
	"watcher/alertstore":       {"watcher", "watcher/alert", "watcher/alerting", "watcher/esdoc", "watcher/outbox"},
	"watcher/esdoc":            {"watcher/document"},
	"watcher/viewstore":        {"watcher/esdoc"},
	"watcher/esstore":          {"watcher", "watcher/document", "watcher/lease"},
	"watcher/receivertest":     {},
	"watcher/action/webhook":   {"watcher", "watcher/document", "watcher/httpcall", "watcher/mustache"},
	"elastic":                  {},
	"funcmetrics/redisqueue":   {"funcmetrics"},
	"funcmetrics/sqlstore":     {"funcmetrics"},
	"jobs/mongostore":          {"jobs"},
	"jobs/taskqueue":           {"jobs"},
	"shop/bustest":             {"shop"},
	"shop/redisbus":            {"shop"},
	"shop/kafkabus":            {"shop"},
	"shop/mongostore":          {"shop"},
	"shop/busconn":             {"shop", "shop/kafkabus", "shop/redisbus"},
	// edges
	"api":                   {"api/openapi", "feed", "feed/feedhttp", "funcmetrics", "jobs", "shop", "tasks"},
	"api/openapi":           {},
	"intake":                {"elastic"},
	"watcher/alerthttp":     {"incident", "watcher", "watcher/alert", "watcher/alerting", "watcher/document", "watcher/esstore", "watcher/replay", "watcher/viewstore"},
	"watcher/watcherhttp":   {"watcher", "watcher/datemath", "watcher/document"},
	"accesslog":             {"elastic"},
	"watcher/pagerdutyhook": {"watcher/alerting"},
	"watcher/replay":        {"elastic", "watcher", "watcher/action/email", "watcher/action/index", "watcher/action/logging", "watcher/action/pagerduty", "watcher/action/slack", "watcher/action/webhook", "watcher/alert", "watcher/alerting", "watcher/document", "watcher/httpcall", "watcher/mustache", "watcher/outbox"},
	"load":                  {"funcmetrics"},
	"console/alerts":        {"console/kql", "console/page", "console/session"},
	"console/assets":        {},
	"console/assets/bundle": {},
	"console/logs":          {"console/kql", "console/page", "console/session", "console/watcherapi", "elastic"},
	"console/incidents":     {"console/kql", "console/page", "console/session", "incident"},
	"console/overview":      {"console/page", "console/shop", "console/watcherapi", "elastic", "shop", "slo"},
	"console/capacity":      {"console/page", "console/series", "console/session", "elastic"},
	"console/functions":     {"console/operatorapi", "console/page", "console/series", "console/session", "elastic"},
	"console/operatorapi":   {},
	"console/page":          {"console/session", "elastic"},
	"console/pagetest":      {"console/page", "console/session", "console/watcherapi", "elastic"},
	"console/security":      {"console/page", "console/series", "console/session", "elastic", "vulnscan"},
	"console/series":        {"console/page", "elastic"},
	"console/session":       {"elastic"},
	"console/slos":          {"console/kql", "console/page", "console/session", "slo", "slo/rollup", "watcher/document"},
	"console/services":      {"console/kql", "console/page", "console/session", "console/watcherapi", "elastic"},
	"console/shop":          {"console/page", "console/series", "console/session", "elastic", "shop"},
	"console/support":       {"console/operatorapi", "console/page", "console/session", "elastic"},
	"console/traces":        {"console/kql", "console/page", "console/session", "elastic"},
	"console/days":          {"console/page", "slo", "slo/rollup"},
	"console/statuspage":    {"console/days", "console/page", "elastic", "slo", "slo/rollup"},
	"console/uptime":        {"console/days", "console/page", "console/session", "elastic", "slo", "slo/rollup"},
	"console/watcherapi":    {},
	"console/kql":           {"elastic", "watcher/datemath"},
	"kibana":                {"elastic"},
	"kibana/generate":       {"kibana"},
	"kibana/kibanaapi":      {"kibana"},
	// wiring
	"cmd/api":       {"api", "funcmetrics", "funcmetrics/redisqueue", "funcmetrics/sqlstore", "jobs", "jobs/mongostore", "jobs/taskqueue", "shop", "shop/busconn", "shop/redisbus"},
	"cmd/jobs":      {"funcmetrics", "funcmetrics/redisqueue", "funcmetrics/sqlstore", "jobs", "jobs/mongostore", "jobs/taskqueue"},
	"cmd/feed":      {"funcmetrics", "funcmetrics/redisqueue", "feed", "feed/feedhttp", "feed/mongostore", "feed/rediscache", "feed/sqlstore"},
	"cmd/intake":    {"intake", "elastic"},
	"cmd/ingest":    {"funcmetrics", "funcmetrics/redisqueue", "shop", "shop/busconn", "shop/mongostore"},
	"cmd/analytics": {"elastic", "funcmetrics", "funcmetrics/redisqueue", "shop", "shop/busconn", "shop/mongostore"},
	"cmd/pharos":    {"accesslog", "backup", "backup/mongobackup", "backup/sqlbackup", "elastic", "feed/mongostore", "incident", "kibana/kibanaapi", "load", "retention", "retention/sweep", "shop", "shop/busconn", "slo", "slo/rollup", "vulnscan", "watcher/action/pagerduty", "watcher/action/slack", "watcher/alert", "watcher/alerting", "watcher/alertstore", "watcher/document", "watcher/httpcall", "watcher/outbox", "watcher/replay"},
	"cmd/console":   {"console/alerts", "console/assets", "console/capacity", "console/functions", "console/incidents", "console/logs", "console/operatorapi", "console/overview", "console/page", "console/security", "console/services", "console/session", "console/shop", "console/slos", "console/statuspage", "console/support", "console/traces", "console/uptime", "console/watcherapi", "elastic", "slo"},
	"cmd/watcher":   {"elastic", "incident", "incident/incidentstore", "retention", "retention/sweep", "signals", "slo", "slo/rollup", "watcher", "watcher/action/email", "watcher/action/index", "watcher/action/logging", "watcher/action/pagerduty", "watcher/action/slack", "watcher/action/webhook", "watcher/alert", "watcher/alerthttp", "watcher/alerting", "watcher/alertstore", "watcher/document", "watcher/esstore", "watcher/httpcall", "watcher/lease", "watcher/mustache", "watcher/outbox", "watcher/pagerdutyhook", "watcher/scheduler", "watcher/shipped", "watcher/viewstore", "watcher/watchdog", "watcher/watcherhttp"},
}

// plumbing lists what the packages under internal/ may import of each other.
var plumbing = map[string][]string{
	"internal/arch":        {},
	"internal/attempts":    {},
	"internal/certs":       {},
	"internal/env":         {},
	"internal/fault":       {},
	"internal/faultproxy":  {},
	"internal/lifecycle":   {},
	"internal/obs":         {},
	"internal/httpserver":  {"internal/fault", "internal/obs"},
	"internal/look":        {"internal/fault", "internal/httpserver"},
	"internal/redisconn":   {"internal/env", "internal/resilience"},
	"internal/process":     {"internal/env", "internal/httpserver", "internal/lifecycle", "internal/obs"},
	"internal/mongoconn":   {"internal/env", "internal/obs"},
	"internal/mysqlconn":   {"internal/env"},
	"internal/resilience":  {},
	"internal/ratelimit":   {"internal/fault", "internal/httpserver"},
	"internal/idempotency": {"internal/fault", "internal/httpserver"},
	"internal/teststack":   {"internal/env"},
}

// drivers names the packages that may import a driver (or what lies below it).
var drivers = map[string][]string{
	"go.mongodb.org/mongo-driver":         {"backup/mongobackup", "feed/mongostore", "jobs/mongostore", "shop/mongostore", "internal/mongoconn"},
	"github.com/redis/go-redis":           {"internal/redisconn", "internal/attempts", "internal/ratelimit", "internal/idempotency", "feed/rediscache", "funcmetrics/redisqueue", "jobs/taskqueue", "shop/redisbus"},
	"github.com/go-sql-driver/mysql":      {"feed/sqlstore", "funcmetrics/sqlstore", "internal/mysqlconn"},
	"database/sql":                        {"feed/sqlstore", "funcmetrics/sqlstore", "internal/mysqlconn"},
	"github.com/pressly/goose":            {"internal/mysqlconn"},
	"github.com/Shopify/toxiproxy":        {"internal/faultproxy"},
	"github.com/elastic/go-elasticsearch": {"elastic"},
	"github.com/elastic/go-docappender":   {"intake"},
	"github.com/elastic/apm-data":         {"intake"},
	"go.opentelemetry.io/collector":       {"intake"},
	"google.golang.org/grpc":              {"intake"},
	"github.com/golang-jwt/jwt":           {"api", "feed/feedhttp"},
	"github.com/hibiken/asynq":            {"jobs/taskqueue"},
	"github.com/klauspost/compress":       {"internal/httpserver"},
	"github.com/twmb/franz-go":            {"shop/kafkabus"},
	"github.com/axiomhq/hyperloglog":      {"shop"},
	"github.com/caarlos0/env":             {"internal/env"},
	"github.com/microcosm-cc/bluemonday":  {"watcher/action/email"},
	"github.com/wneessen/go-mail":         {"watcher/action/email"},
	"github.com/rs/cors":                  {"api"},
	"github.com/gorilla/feeds":            {"console/statuspage"},
	"github.com/evanw/esbuild":            {"console/assets/bundle"},
	"github.com/alecthomas/kong":          {"cmd/pharos"},
	"gopkg.in/natefinch/lumberjack.v2":    {"internal/obs"},
	"go.elastic.co/ecszap":                {"internal/obs"},
	"go.elastic.co/apm/module/apmgin":     {"internal/httpserver"},
	"go.elastic.co/apm/module/apmmongo":   {"internal/mongoconn"},
	"go.elastic.co/apm/module/apmsql":     {"internal/mysqlconn"},
	"github.com/failsafe-go/failsafe-go":  {"internal/resilience"},
	"golang.org/x/crypto/argon2":          {"feed"},
	"github.com/prometheus/client_golang": {"cmd/feed", "cmd/jobs", "feed/mongostore", "feed/sqlstore", "funcmetrics", "funcmetrics/sqlstore", "intake", "internal/httpserver", "internal/mongoconn", "internal/mysqlconn", "internal/obs", "internal/redisconn", "internal/resilience", "jobs/mongostore", "retention/sweep", "shop", "shop/busconn", "shop/mongostore", "watcher/scheduler"},
	"testing":                             {"console/pagetest", "feed/storetest", "internal/faultproxy", "internal/teststack", "shop/bustest", "watcher/receivertest"},
}

func TestImports(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	seen := map[string]bool{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "var" || d.Name() == "testdata" || name == "dev" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		seen[pkg] = true
		allowed, listed := may[pkg]
		internal := strings.HasPrefix(pkg, "internal/")
		if internal {
			allowed, listed = plumbing[pkg]
		}
		if !listed {
			t.Errorf("%s: package %s has no line in the tables of internal/arch", name, pkg)
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			dep, ours := strings.CutPrefix(imp, module)
			free := !internal && strings.HasPrefix(dep, "internal/")
			if ours && !free && !slices.Contains(allowed, dep) {
				t.Errorf("%s: %s must not import %s", name, pkg, dep)
			}
			for driver, owners := range drivers {
				if (imp == driver || strings.HasPrefix(imp, driver+"/")) && !slices.Contains(owners, pkg) {
					t.Errorf("%s: only %v may import %s", name, owners, driver)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range may {
		if !seen[pkg] {
			t.Errorf("the table lists %s, which is not there", pkg)
		}
	}
}

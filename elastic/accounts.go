package elastic

import (
	"errors"
	"strings"

	"pharos/internal/env"
)

// Account is a user of Elasticsearch that Setup makes.
type Account struct {
	User string
	// Role is the one role that the user has; empty for Elasticsearch's own
	// users, of which only the password is set.
	Role string
	// About says whose account it is, as the user's full name.
	About string
	// Variable names the setting that Password comes from.
	Variable string
	Password env.Secret

	only where
}

// accounts is who there is: the writers of signals, then the people. A process
// that gets an account of its own adds its line here and its role to roles/.
func accounts() []Account {
	return []Account{
		{User: "filebeat", Role: "pharos_filebeat", About: "Filebeat", Variable: "FILEBEAT_PASSWORD"},
		{User: "heartbeat", Role: "pharos_heartbeat", About: "Heartbeat", Variable: "HEARTBEAT_PASSWORD"},
		{User: "metricbeat", Role: "pharos_metricbeat", About: "Metricbeat", Variable: "METRICBEAT_PASSWORD"},
		{User: "analytics", Role: "pharos_analytics", About: "Shop analytics", Variable: "ANALYTICS_PASSWORD"},
		{User: "watcher", Role: "pharos_watcher", About: "Watcher", Variable: "WATCHER_PASSWORD"},
		{User: "console", Role: "pharos_console", About: "Console", Variable: "CONSOLE_PASSWORD"},
		{User: "scanner", Role: "pharos_scanner", About: "make vuln", Variable: "SCANNER_PASSWORD"},
		{User: "intake", Role: "pharos_intake", About: "APM intake", Variable: "INTAKE_PASSWORD"},
		{User: "apm_server", Role: "pharos_apm_server", About: "APM Server", Variable: "APM_SERVER_PASSWORD", only: stack},
		{User: "kibana_system", About: "Kibana", Variable: "KIBANA_PASSWORD", only: stack},

		{User: "support", Role: "pharos_support", About: "Support staff", Variable: "SUPPORT_PASSWORD"},
		{User: "oncall", Role: "pharos_oncall", About: "Who is on call", Variable: "ONCALL_PASSWORD"},
		{User: "viewer", Role: "pharos_viewer", About: "Managers", Variable: "VIEWER_PASSWORD"},
	}
}

// Accounts returns the accounts of a native run or, with inStack, of one
// beside Kibana and APM Server, with their passwords from lookup (os.LookupEnv
// usually). The error names every setting that is missing or empty.
func Accounts(lookup func(string) (string, bool), inStack bool) ([]Account, error) {
	var (
		wanted []Account
		errs   []string
	)
	for _, a := range accounts() {
		if !a.only.in(inStack) {
			continue
		}
		value, ok := lookup(a.Variable)
		switch {
		case !ok:
			errs = append(errs, a.Variable+" is not set")
		case strings.TrimSpace(value) == "":
			errs = append(errs, a.Variable+" is empty")
		}
		a.Password = env.Secret(value)
		wanted = append(wanted, a)
	}
	if len(errs) > 0 {
		return nil, errors.New("settings: " + strings.Join(errs, "; "))
	}
	return wanted, nil
}

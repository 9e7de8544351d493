package elastic

import (
	"strings"
	"testing"
)

func passwords(change map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := change[name]; ok {
			return v, v != "unset"
		}
		return "secret-of-" + name, true
	}
}

func TestAccounts(t *testing.T) {
	for name, tt := range map[string]struct {
		stack bool
		users string
	}{
		"native":   {false, "filebeat heartbeat metricbeat analytics watcher console scanner intake support oncall viewer"},
		"in stack": {true, "filebeat heartbeat metricbeat analytics watcher console scanner intake apm_server kibana_system support oncall viewer"},
	} {
		accounts, err := Accounts(passwords(nil), tt.stack)
		if err != nil {
			t.Fatal(err)
		}
		var users []string
		for _, a := range accounts {
			users = append(users, a.User)
			if a.Password.Reveal() != "secret-of-"+a.Variable {
				t.Errorf("%s has a wrong password", a.User)
			}
		}
		if got := strings.Join(users, " "); got != tt.users {
			t.Errorf("%s: %s, want %s", name, got, tt.users)
		}
	}
}

func TestAccountsNameEverySettingAtFault(t *testing.T) {
	_, err := Accounts(passwords(map[string]string{
		"SUPPORT_PASSWORD": "unset", "VIEWER_PASSWORD": " ",
		"KIBANA_PASSWORD": "unset", // not wanted natively
	}), false)
	want := "settings: SUPPORT_PASSWORD is not set; VIEWER_PASSWORD is empty"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

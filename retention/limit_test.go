package retention

import (
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	for text, want := range map[string]Limit{
		"30d,20gb":  {30 * day, 20 << 30},
		"20gb, 30d": {30 * day, 20 << 30},
		"12h":       {12 * time.Hour, 0},
		"500MB":     {0, 500 << 20},
		"400d":      {400 * day, 0},
		"1tb":       {0, 1 << 40},
		"keep":      {},
	} {
		var got Limit
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		var again Limit
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != want {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "0d", "-3d", "30", "30x", "30d,", "30d,7d", "5gb,6gb", "1h,1mb", "59m", "d", "gb", "keep,30d", "99999999999d"} {
		l := Limit{Age: 1, Size: 1}
		if err := l.UnmarshalText([]byte(text)); err == nil || l != (Limit{1, 1}) {
			t.Errorf("%q: %+v, %v", text, l, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Every: time.Minute}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []Config{{}, {Every: time.Minute, Records: Limit{Size: 1 << 30}}} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// Every stream that Pharos writes has a family, and the narrow ones win.
func TestFamilies(t *testing.T) {
	families := (&Config{}).Families()
	for stream, want := range map[string]string{
		"logs-nginx.access-default": "logs", "logs-nginx.error-default": "logs", "logs-pharos-default": "logs",
		"logs-external-default": "logs", "logs-apm.error-default": "logs", "traces-apm-default": "traces",
		"heartbeat-default": "uptime", "metricbeat-default": "metrics", "metrics-pharos-default": "metrics",
		"metrics-apm.internal-default": "metrics", "metrics-anomaly-default": "metrics",
		"metrics-slo-default": "slo", "metrics-shop.analytics-default": "shop", "pharos-watch-history-2026.11.21": "history",
		"pharos-alerts": "", "evil": "", ".security-7": "", "pharos-watches": "",
	} {
		if f, _ := FamilyOf(families, stream); f.Name != want {
			t.Errorf("%s is of %q, want %q", stream, f.Name, want)
		}
	}
}

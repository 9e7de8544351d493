package page

import (
	"strings"
	"testing"
)

func TestNumbersInWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(0), "0"}, {Count(7), "7"}, {Count(999), "999"}, {Count(999.6), "1 k"}, {Count(1300), "1.3 k"}, {Count(42_100_000), "42.1 M"},
		{Rate(0.105), "0.105 /s"}, {Rate(1300), "1.3 k/s"},
		{Bytes(42_100_000), "42.1 MB"}, {Bytes(12), "12 B"},
		{Seconds(0), "0 s"}, {Seconds(0.0000021), "2.1 µs"}, {Seconds(0.312), "312 ms"}, {Seconds(1.239), "1.24 s"}, {Seconds(240), "4 min"}, {Seconds(10800), "3 h"}, {Seconds(30 * 86400), "30 d"},
		{Percent(0.125), "12.5 %"}, {Percent(0), "0 %"}, {Percent(0.00001), "0.001 %"},
		{Availability(1), "100 %"}, {Availability(0.9995), "99.95 %"}, {Availability(0.999999), "99.9999 %"}, {Availability(0.5), "50.00 %"}, {Availability(0), "0.00 %"},
		{Availability(0.99999999), "99.999999 %"}, {Availability(0.9997), "99.97 %"},
	} {
		if got := strings.ReplaceAll(c.got, "\u00a0", " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestNothingButAllIsAHundredPercent(t *testing.T) {
	for bad := 1e-3; bad > 1e-12; bad /= 10 {
		if got := Availability(1 - bad); strings.HasPrefix(got, "100") {
			t.Errorf("%g bad: %s", bad, got)
		}
	}
}

package schedule

import (
	"regexp"
	"strings"
	"time"

	// The zones' rules, for containers that have none.
	_ "time/tzdata"

	"pharos/watcher/document"
)

// offsetZone is what java.time.ZoneId takes besides names: +1, +01:00, UTC+1.
var offsetZone = regexp.MustCompile(`^(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?$`)

// parseZone reads the name of a time zone (Europe/Berlin, in any case) or an
// offset (+01:00).
func parseZone(path string, v any) (*time.Location, error) {
	text, ok := v.(string)
	if !ok {
		return nil, document.Errorf(path, "could not parse schedule. a timezone must be a string, but found [%s]", document.Token(v))
	}
	upper := strings.ToUpper(text)
	if upper == "Z" || upper == "UTC" || upper == "GMT" || upper == "UT" {
		return time.FixedZone(upper, 0), nil
	}
	if m := offsetZone.FindStringSubmatch(upper); m != nil {
		var parts [3]int
		for i, digits := range m[2:] {
			n, _ := javaInt("0"+digits, 32) // digits by the expression
			parts[i] = int(n)
		}
		seconds := parts[0]*3600 + parts[1]*60 + parts[2]
		if parts[1] > 59 || parts[2] > 59 || seconds > 18*3600 {
			return nil, document.Errorf(path, "could not parse schedule. invalid timezone [%s]", text)
		}
		if m[1] == "-" {
			seconds = -seconds
		}
		return time.FixedZone(text, seconds), nil
	}
	for _, name := range []string{text, titled(text), upper} {
		if zone, err := time.LoadLocation(name); err == nil && name != "" && name != "LOCAL" && name != "Local" {
			return zone, nil
		}
	}
	return nil, document.Errorf(path, "could not parse schedule. invalid timezone [%s]", text)
}

// titled writes europe/berlin as Europe/Berlin and america/new_york as
// America/New_York.
func titled(name string) string {
	begin := true
	return strings.Map(func(r rune) rune {
		was := begin
		begin = r == '/' || r == '_' || r == '-'
		if was {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, name)
}

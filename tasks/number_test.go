package tasks_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"pharos/internal/fault"
	"pharos/tasks"
)

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "7": 7, "007": 7, "90": 90, "1000000000": 1_000_000_000,
		"999999999999999999": 999_999_999_999_999_999,
	} {
		if got, err := tasks.ParseNumber("n", text); err != nil || got != want {
			t.Errorf("ParseNumber(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseNumberRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":                       "empty",
		"-1":                     "negative",
		"-999999999999999999999": "negative",
		"-":                      "digits 0 to 9",
		"--1":                    "digits 0 to 9",
		"+1":                     "digits 0 to 9",
		" 1":                     "digits 0 to 9",
		"1 ":                     "digits 0 to 9",
		"abc":                    "digits 0 to 9",
		"1e9":                    "digits 0 to 9",
		"1.0":                    "digits 0 to 9",
		"1,000":                  "digits 0 to 9",
		"1_000":                  "digits 0 to 9",
		"0x10":                   "digits 0 to 9",
		"٣":                      "digits 0 to 9",
		"1\x00":                  "digits 0 to 9",
		"1000000000000000000":    "19 digits",
		strings.Repeat("9", 5e4): "50000 digits",
	} {
		_, err := tasks.ParseNumber("m", text)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.InvalidParameter || f.Field != "m" || !strings.Contains(f.Detail, reason) {
			t.Errorf("ParseNumber(%.20q): %v, want %s about m that says %q", text, err, fault.InvalidParameter, reason)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"", "0", "90", "-1", "1e9", "abc", "007", "999999999999999999", "1000000000000000000", "+1", "٣", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := tasks.ParseNumber("n", text)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.InvalidParameter || e.Field != "n" || len(e.Detail) > 200 {
				t.Fatalf("ParseNumber(%q): %v", text, err)
			}
			return
		}
		canonical := strings.TrimLeft(text, "0")
		if canonical == "" {
			canonical = "0"
		}
		if strconv.FormatUint(n, 10) != canonical {
			t.Fatalf("ParseNumber(%q) = %d", text, n)
		}
	})
}

package tasks

import (
	"strconv"

	"pharos/internal/fault"
)

// numberDigits is how many digits a number may have: every such number fits
// an int64.
const numberDigits = 18

// ParseNumber reads the parameter of the given name: a whole number, 0 or
// more, in decimal digits and nothing else. Everything else is
// fault.InvalidParameter with the name as its field.
func ParseNumber(name, text string) (uint64, error) {
	invalid := func(format string, args ...any) error {
		return fault.Field(fault.InvalidParameter, name, format, args...)
	}
	if text == "" {
		return 0, invalid("%s is empty; it must be a whole number, 0 or more.", name)
	}
	digits := text
	if text[0] == '-' {
		digits = text[1:]
	}
	if !allDigits(digits) {
		return 0, invalid("%s must be a whole number, 0 or more, in the digits 0 to 9 only.", name)
	}
	if len(digits) != len(text) {
		return 0, invalid("%s must not be negative.", name)
	}
	if len(text) > numberDigits {
		return 0, invalid("%s has %d digits; at most %d are read.", name, len(text), numberDigits)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("%s must be a whole number, 0 or more.", name)
	}
	return n, nil
}

func allDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

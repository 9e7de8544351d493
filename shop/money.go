package shop

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/text/currency"
)

// Money is an exact amount in the smallest unit of its currency (cents of EUR,
// yen of JPY), so that sums are exact, too.
type Money struct {
	Minor    int64
	Currency string // ISO 4217
}

// maxMinor keeps sums of many amounts within 53 bits, which Elasticsearch's
// doubles hold exactly.
const maxMinor = 1_000_000_000_000

// Decimals returns how many decimals the currency has, by ISO 4217's list of
// minor units (the display rules of CLDR differ for some, and would refuse
// amounts that exist).
func Decimals(code string) int {
	switch code {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	}
	return 2
}

// ParseCurrency checks an ISO 4217 code. Codes that no country ever used are
// refused: they become names of fields in Elasticsearch, which must be few.
func ParseCurrency(code string) (string, error) {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return "", errors.New("must be a currency of ISO 4217, as EUR")
	}
	return code, nil
}

// ParseMoney reads a decimal number, as "19.99", exactly. It refuses what is
// negative, has an exponent, has more decimals than the currency, or exceeds
// 10^12 of the smallest unit.
func ParseMoney(number, code string) (Money, error) {
	whole, fraction, point := strings.Cut(number, ".")
	if !digits(whole) || (point && !digits(fraction)) {
		return Money{}, errors.New("must be a decimal number of 0 or more, as 19.99")
	}
	fraction = strings.TrimRight(fraction, "0")
	scale := Decimals(code)
	if len(fraction) > scale {
		return Money{}, fmt.Errorf("has more decimals than the %d of %s", scale, code)
	}
	var minor int64
	for _, d := range whole + fraction + strings.Repeat("0", scale-len(fraction)) {
		if minor > (math.MaxInt64-9)/10 {
			minor = math.MaxInt64
			break
		}
		minor = minor*10 + int64(d-'0')
	}
	if minor > maxMinor {
		return Money{}, errors.New("is too large")
	}
	return Money{Minor: minor, Currency: code}, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

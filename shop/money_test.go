package shop_test

import (
	"testing"

	"pharos/shop"
)

func TestParseMoney(t *testing.T) {
	for _, tt := range []struct {
		number, currency string
		minor            int64
		bad              bool
	}{
		{"0", "EUR", 0, false},
		{"19.99", "EUR", 1999, false},
		{"19.9", "EUR", 1990, false},
		{"19.990000", "EUR", 1999, false},
		{"0.29", "EUR", 29, false}, // 0.29 * 100 is 28.999… in floats
		{"007", "EUR", 700, false},
		{"1200", "JPY", 1200, false},
		{"1200.00", "JPY", 1200, false},
		{"1200.5", "JPY", 0, true},
		{"1.234", "KWD", 1234, false},
		{"1.2345", "KWD", 0, true},
		{"10000000000.00", "EUR", 1_000_000_000_000, false},
		{"10000000000.01", "EUR", 0, true},
		{"99999999999999999999999999", "EUR", 0, true},
		{"19.999", "EUR", 0, true},
		{"-1", "EUR", 0, true},
		{"+1", "EUR", 0, true},
		{"1e2", "EUR", 0, true},
		{".5", "EUR", 0, true},
		{"5.", "EUR", 0, true},
		{"", "EUR", 0, true},
		{"1,5", "EUR", 0, true},
		{"٣", "EUR", 0, true},
	} {
		m, err := shop.ParseMoney(tt.number, tt.currency)
		if (err != nil) != tt.bad || (!tt.bad && m != shop.Money{Minor: tt.minor, Currency: tt.currency}) {
			t.Errorf("%s %s: %+v %v", tt.number, tt.currency, m, err)
		}
	}
}

package tasks

import (
	"math"
	"math/big"
)

// Ackermann returns A(m, n) of the two-argument function of Ackermann and
// Péter:
//
//	A(0, n) = n + 1
//	A(m, 0) = A(m−1, 1)
//	A(m, n) = A(m−1, A(m, n−1))
//
// by its closed forms. ok is false where the value cannot be written out:
// m = 4 with n above 2, and every m above 4.
func Ackermann(m, n uint64) (value *big.Int, ok bool) {
	value = new(big.Int).SetUint64(n)
	switch {
	case m == 0:
		return value.Add(value, big.NewInt(1)), true
	case m == 1:
		return value.Add(value, big.NewInt(2)), true
	case m == 2:
		return value.Lsh(value, 1).Add(value, big.NewInt(3)), true
	case m == 3:
		return powerOfTwoLess3(n + 3), true
	case m == 4 && n <= ackermannM4MaxN:
		// 2↑↑(n+3) − 3: a tower of n+3 twos, whose top n+2 are the exponent.
		exponents := [...]uint64{4, 16, 65536}
		return powerOfTwoLess3(exponents[n]), true
	}
	return nil, false
}

func powerOfTwoLess3(exponent uint64) *big.Int {
	value := new(big.Int).Lsh(big.NewInt(1), uint(exponent))
	return value.Sub(value, big.NewInt(3))
}

// ackermannDigits estimates the number of digits of A(m, n), where Ackermann
// can write it out.
func ackermannDigits(m, n uint64) float64 {
	switch m {
	case 3:
		return digits((float64(n) + 3) * math.Log10(2))
	case 4:
		return digits(65536 * math.Log10(2))
	}
	return digits(math.Log10(2*float64(n) + 3))
}

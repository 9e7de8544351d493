package tasks

import (
	"math"
	"math/big"
	"math/bits"
)

// Fibonacci returns F(n), with F(0) = 0 and F(1) = 1, and the sum
// F(0)+…+F(n) = F(n+2)−1.
//
// It doubles the index once for each bit of n:
//
//	F(2k)   = F(k)·(2F(k+1) − F(k))
//	F(2k+1) = F(k)² + F(k+1)²
//
// See Graham, Knuth, Patashnik, Concrete Mathematics, section 6.6.
func Fibonacci(n uint64) (value, sum *big.Int) {
	a, b := big.NewInt(0), big.NewInt(1) // F(k), F(k+1)
	even, odd := new(big.Int), new(big.Int)
	for i := bits.Len64(n) - 1; i >= 0; i-- {
		even.Lsh(b, 1).Sub(even, a)
		even.Mul(even, a)
		a.Mul(a, a)
		b.Mul(b, b)
		odd.Add(a, b)
		if n>>i&1 == 0 {
			a, b, even, odd = even, odd, a, b
		} else {
			even.Add(even, odd)
			a, b, even, odd = odd, even, a, b
		}
	}
	b.Add(b, a)
	return a, b.Sub(b, big.NewInt(1))
}

// fibonacciDigits estimates the number of digits of F(n), which is the nearest
// whole number to φⁿ/√5.
func fibonacciDigits(n uint64) float64 {
	return digits(float64(n)*math.Log10(math.Phi) - math.Log10(5)/2)
}

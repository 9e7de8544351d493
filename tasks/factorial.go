package tasks

import (
	"math"
	"math/big"
	"math/bits"
)

// Factorial returns n!.
//
// It is Luschny's prime swing: n! = (⌊n/2⌋!)² · swing(n), where swing(n) is a
// product of prime powers read off the primes up to n. Squaring is cheaper
// than multiplying and the factors of two are one shift at the end, which
// makes it two to three times as fast as a product tree over 1…n.
// See https://oeis.org/A000142/a000142.pdf.
func Factorial(n uint64) *big.Int {
	odd := oddFactorial(n, oddPrimes(n))
	// n! holds n minus the number of ones in n factors of two (Legendre).
	return odd.Lsh(odd, uint(n)-uint(bits.OnesCount64(n)))
}

// oddFactorial returns n! without its factors of two.
func oddFactorial(n uint64, primes []uint64) *big.Int {
	if n < 3 {
		return big.NewInt(1)
	}
	half := oddFactorial(n/2, primes)
	half.Mul(half, half)
	return half.Mul(half, oddSwing(n, primes))
}

// oddSwing returns n!/(⌊n/2⌋!)² without its factors of two. The prime p
// appears once for each odd ⌊n/pᵏ⌋, so that its power is never above n.
func oddSwing(n uint64, primes []uint64) *big.Int {
	var factors []uint64
	for _, p := range primes {
		if p > n {
			break
		}
		power := uint64(1)
		for q := n / p; q > 0; q /= p {
			if q&1 == 1 {
				power *= p
			}
		}
		if power > 1 {
			factors = append(factors, power)
		}
	}
	return product(factors)
}

// product multiplies by halves, so that most of the work is between numbers
// of like size, where math/big is at its best.
func product(factors []uint64) *big.Int {
	const leaf = 16
	if len(factors) > leaf {
		middle := len(factors) / 2
		left := product(factors[:middle])
		return left.Mul(left, product(factors[middle:]))
	}
	result, word := big.NewInt(1), uint64(1)
	factor := new(big.Int)
	for _, f := range factors {
		high, low := bits.Mul64(word, f)
		if high != 0 {
			result.Mul(result, factor.SetUint64(word))
			low = f
		}
		word = low
	}
	return result.Mul(result, factor.SetUint64(word))
}

// oddPrimes returns the primes from 3 up to n (sieve of Eratosthenes over the
// odd numbers).
func oddPrimes(n uint64) []uint64 {
	if n < 3 {
		return nil
	}
	composite := make([]bool, n/2+1) // [i] stands for 2i+1
	var primes []uint64
	for p := uint64(3); p <= n; p += 2 {
		if composite[p/2] {
			continue
		}
		primes = append(primes, p)
		for multiple := p * p; multiple <= n; multiple += 2 * p {
			composite[multiple/2] = true
		}
	}
	return primes
}

// factorialDigits estimates the number of digits of n!.
func factorialDigits(n uint64) float64 {
	log, _ := math.Lgamma(float64(n) + 1)
	return digits(log / math.Ln10)
}

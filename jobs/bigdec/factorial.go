package bigdec

import (
	"context"
	"math"
	"math/bits"
)

// Factorial returns n!, which must have at most [MaxDigits]. It calls progress
// often, with the share of the work that is done, and returns the context's
// error soon after that has ended.
//
// It is Luschny's prime swing: n! = (⌊n/2⌋!)² · swing(n), where swing(n) is a
// product of prime powers that are read off the primes up to n.
// See https://oeis.org/A000142/a000142.pdf.
func Factorial(ctx context.Context, n uint64, progress func(share float64)) (Number, error) {
	w := &worker{meter: &meter{ctx: ctx, progress: progress, total: factorialCost(n)}}
	return w.factorial(n, primes(n))
}

func (w *worker) factorial(n uint64, primes []uint64) (Number, error) {
	if n < 2 {
		return FromUint(1), nil
	}
	half, err := w.factorial(n/2, primes)
	if err != nil {
		return nil, err
	}
	swing, err := w.product(swingFactors(n, primes))
	if err != nil {
		return nil, err
	}
	if half, err = w.square(half); err != nil {
		return nil, err
	}
	return w.mul(half, swing)
}

// swingFactors returns factors whose product is n!/(⌊n/2⌋!)². The prime p
// appears once for each odd ⌊n/pᵏ⌋, so that its power is never above n.
func swingFactors(n uint64, primes []uint64) []uint64 {
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
	return factors
}

// leaf is how many factors are multiplied one by one.
const leaf = 64

// product multiplies by halves, so that most of the work is between numbers of
// like size.
func (w *worker) product(factors []uint64) (Number, error) {
	if len(factors) <= leaf {
		n := FromUint(1)
		for _, f := range factors {
			n = n.mulSmall(f)
		}
		return n, w.meter.did(len(factors))
	}
	left, err := w.product(factors[:len(factors)/2])
	if err != nil {
		return nil, err
	}
	right, err := w.product(factors[len(factors)/2:])
	if err != nil {
		return nil, err
	}
	return w.mul(left, right)
}

// factorialCost estimates what the meter will count.
func factorialCost(n uint64) float64 {
	cost := 1.0
	for ; n > 1; n /= 2 {
		full, swing := limbs(lgFactorial(n)), limbs(lgFactorial(n)-2*lgFactorial(n/2))
		size := transformSize(full)
		cost += float64(5*transformCost(size) + 2*size)
		if float64(n)/math.Log(float64(n)) > leaf {
			size = transformSize(swing)
			cost += float64(3*transformCost(size)) * float64(max(1, levels(swing/leaf)))
		}
	}
	return cost
}

func limbs(lg float64) int { return max(2, int(lg)/limbDigits+2) }

// primes returns the primes up to n (sieve of Eratosthenes over the odd
// numbers).
func primes(n uint64) []uint64 {
	if n < 2 {
		return nil
	}
	found := []uint64{2}
	composite := make([]bool, n/2+1) // [i] stands for 2i+1
	for p := uint64(3); p <= n; p += 2 {
		if composite[p/2] {
			continue
		}
		found = append(found, p)
		for multiple := p * p; multiple <= n; multiple += 2 * p {
			composite[multiple/2] = true
		}
	}
	return found
}

// lgFactorial estimates the decimal logarithm of n!.
func lgFactorial(n uint64) float64 {
	log, _ := math.Lgamma(float64(n) + 1)
	return log / math.Ln10
}

// FactorialDigits estimates the number of digits of n!.
func FactorialDigits(n uint64) float64 { return max(1, math.Floor(lgFactorial(n))+1) }

// levels is how often n can be halved.
func levels(n int) int { return bits.Len(uint(n)) }

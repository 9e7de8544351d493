package bigdec

import (
	"context"
	"math"
)

// MaxDigits is the size that results must not go beyond: the products of
// larger numbers would not fit the prime of the transforms.
const MaxDigits = 60_000_000

// FibonacciDigits estimates the number of digits of F(n), which is the nearest
// whole number to φⁿ/√5.
func FibonacciDigits(n uint64) float64 {
	return max(1, math.Floor(float64(n)*math.Log10(math.Phi)-math.Log10(5)/2)+1)
}

// smallFibonacci is the largest index that is begun with.
const smallFibonacci = 60

// Fibonacci returns F(n), with F(0) = 0 and F(1) = 1, and the sum
// F(0)+…+F(n) = F(n+2)−1. F(n) must have at most [MaxDigits]. It calls
// progress often, with the share of the work that is done, and returns the
// context's error soon after that has ended.
//
// It doubles the index once for each further bit of n, with the two forms that
// need no subtraction:
//
//	F(2k−1) = F(k−1)² + F(k)²
//	F(2k)   = F(k)·(2F(k−1) + F(k))
func Fibonacci(ctx context.Context, n uint64, progress func(share float64)) (value, sum Number, err error) {
	shift := 0
	for n>>shift > smallFibonacci {
		shift++
	}
	w := &worker{meter: &meter{ctx: ctx, progress: progress, total: 1}}
	for i := shift; i > 0; i-- {
		size := transformSize(2 * (int(FibonacciDigits(n>>i))/limbDigits + 1))
		w.meter.total += float64(4*transformCost(size) + 2*size)
	}
	a, b := smallPair(n >> shift)
	for i := shift - 1; i >= 0; i-- {
		if a, b, err = w.double(a, b); err != nil {
			return nil, nil, err
		}
		if n>>i&1 == 1 {
			a, b = b, b.Add(a)
		}
	}
	sum = b.Add(b).Add(a)
	if n == 0 {
		return b, nil, ctx.Err() // F(2) − 1
	}
	return b, sum.subSmall(1), ctx.Err()
}

// smallPair returns F(k−1) and F(k).
func smallPair(k uint64) (Number, Number) {
	a, b := uint64(1), uint64(0)
	for range k {
		a, b = b, a+b
	}
	return FromUint(a), FromUint(b)
}

// double returns F(2k−1) and F(2k) from F(k−1) and F(k). It uses the latters'
// memory.
func (w *worker) double(x, y Number) (Number, Number, error) {
	limbs := 2*max(len(x), len(y)) + 1
	n := transformSize(limbs)
	w.prepare(n)
	a, err := w.load(&w.a, x, n)
	if err != nil {
		return nil, nil, err
	}
	b, err := w.load(&w.b, y, n)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range b {
		u := a[i]
		a[i] = addMod(mulMod(u, u), mulMod(v, v))
		b[i] = mulMod(v, addMod(addMod(u, u), v))
	}
	if err := w.backward(a); err != nil {
		return nil, nil, err
	}
	if err := w.backward(b); err != nil {
		return nil, nil, err
	}
	if x, err = w.carry(a, limbs, x); err != nil {
		return nil, nil, err
	}
	if y, err = w.carry(b, limbs, y); err != nil {
		return nil, nil, err
	}
	return x, y, nil
}

package bigdec

import (
	"context"
	"math/bits"
)

// Arithmetic modulo the prime 2⁶⁴ − 2³² + 1, whose multiplicative group has
// elements of every order 2ᵏ up to k = 32, and 7 as a generator.
const (
	prime     = 0xFFFF_FFFF_0000_0001
	epsilon   = 0xFFFF_FFFF // 2⁶⁴ mod prime
	generator = 7
)

func addMod(a, b uint64) uint64 {
	s, carry := bits.Add64(a, b, 0)
	r, borrow := bits.Sub64(s, prime, 0)
	// s is right as it is only where there was no carry and it is below prime.
	keep := -(borrow &^ carry)
	return r ^ (r^s)&keep
}

func subMod(a, b uint64) uint64 {
	d, borrow := bits.Sub64(a, b, 0)
	return d + prime&-borrow
}

// mulMod uses 2⁶⁴ ≡ 2³² − 1 and 2⁹⁶ ≡ −1.
func mulMod(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	t, borrow := bits.Sub64(lo, hi>>32, 0)
	t -= epsilon & -borrow
	hi &= epsilon
	r, carry := bits.Add64(t, hi<<32-hi, 0)
	r += epsilon & -carry
	s, borrow := bits.Sub64(r, prime, 0)
	return s ^ (s^r)&-borrow
}

func powMod(a, e uint64) uint64 {
	r := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			r = mulMod(r, a)
		}
		a = mulMod(a, a)
	}
	return r
}

// worker does transforms. Its buffers are used again and again.
type worker struct {
	meter *meter
	roots []uint64 // [h+j] is the j-th power of a root of unity of order 2h
	a, b  []uint64
}

// prepare makes the roots that transforms of n numbers need.
func (w *worker) prepare(n int) {
	if len(w.roots) >= n {
		return
	}
	from := max(1, len(w.roots))
	roots := make([]uint64, n)
	copy(roots, w.roots)
	for h := from; h < n; h *= 2 {
		root, power := powMod(generator, (prime-1)/uint64(2*h)), uint64(1)
		for j := range h {
			roots[h+j] = power
			power = mulMod(power, root)
		}
	}
	w.roots = roots
}

// blockSize is how many numbers fit well into a core's second cache.
const blockSize = 1 << 14

// forward transforms a in place; the result is in bit-reversed order.
func (w *worker) forward(a []uint64) error {
	h := len(a) / 2
	if len(a) <= blockSize {
		for ; h > 0; h /= 2 {
			for i := 0; i < len(a); i += 2 * h {
				split(a[i:i+h], a[i+h:i+2*h], w.roots[h:2*h])
			}
		}
		return w.meter.did(transformCost(len(a)))
	}
	split(a[:h], a[h:], w.roots[h:2*h])
	if err := w.meter.did(len(a)); err != nil {
		return err
	}
	if err := w.forward(a[:h]); err != nil {
		return err
	}
	return w.forward(a[h:])
}

func split(low, high, roots []uint64) {
	high, roots = high[:len(low)], roots[:len(low)]
	for j, u := range low {
		v := high[j]
		low[j], high[j] = addMod(u, v), mulMod(subMod(u, v), roots[j])
	}
}

// backward transforms a from bit-reversed order. What a held before forward
// comes out len(a) times as large, and from the first on in reverse:
// at 0, n−1, n−2, ….
func (w *worker) backward(a []uint64) error {
	h := len(a) / 2
	if len(a) <= blockSize {
		for k := 1; k <= h; k *= 2 {
			for i := 0; i < len(a); i += 2 * k {
				join(a[i:i+k], a[i+k:i+2*k], w.roots[k:2*k])
			}
		}
		return w.meter.did(transformCost(len(a)))
	}
	if err := w.backward(a[:h]); err != nil {
		return err
	}
	if err := w.backward(a[h:]); err != nil {
		return err
	}
	join(a[:h], a[h:], w.roots[h:2*h])
	return w.meter.did(len(a))
}

func join(low, high, roots []uint64) {
	high, roots = high[:len(low)], roots[:len(low)]
	for j, u := range low {
		v := mulMod(high[j], roots[j])
		low[j], high[j] = addMod(u, v), subMod(u, v)
	}
}

// carry reads a product of the given number of limbs out of what backward
// left, into the limbs of out if they suffice.
func (w *worker) carry(a []uint64, limbs int, out Number) (Number, error) {
	if cap(out) < limbs {
		out = make(Number, limbs)
	}
	out = out[:limbs]
	inverse := powMod(uint64(len(a)), prime-2)
	carry := uint64(0)
	for i := range out {
		carry += mulMod(a[-i&(len(a)-1)], inverse)
		out[i] = uint32(carry % base)
		carry /= base
	}
	return out.trim(), w.meter.did(len(a))
}

// load puts a number into a buffer of length n, transformed.
func (w *worker) load(buffer *[]uint64, x Number, n int) ([]uint64, error) {
	if cap(*buffer) < n {
		*buffer = make([]uint64, n)
	}
	a := (*buffer)[:n]
	for i, limb := range x {
		a[i] = uint64(limb)
	}
	clear(a[len(x):])
	return a, w.forward(a)
}

// mul returns x·y.
func (w *worker) mul(x, y Number) (Number, error) {
	if len(x) == 0 || len(y) == 0 {
		return nil, nil
	}
	limbs := len(x) + len(y)
	n := transformSize(limbs)
	w.prepare(n)
	a, err := w.load(&w.a, x, n)
	if err != nil {
		return nil, err
	}
	b, err := w.load(&w.b, y, n)
	if err != nil {
		return nil, err
	}
	for i, v := range b {
		a[i] = mulMod(a[i], v)
	}
	if err := w.backward(a); err != nil {
		return nil, err
	}
	return w.carry(a, limbs, nil)
}

// square returns x².
func (w *worker) square(x Number) (Number, error) {
	limbs := 2 * len(x)
	if limbs == 0 {
		return nil, nil
	}
	n := transformSize(limbs)
	w.prepare(n)
	a, err := w.load(&w.a, x, n)
	if err != nil {
		return nil, err
	}
	for i, v := range a {
		a[i] = mulMod(v, v)
	}
	if err := w.backward(a); err != nil {
		return nil, err
	}
	return w.carry(a, limbs, nil)
}

// transformSize is the length of the transform for a product of so many limbs.
func transformSize(limbs int) int { return 1 << bits.Len(uint(limbs-1)) }

// transformCost is how many numbers a transform of length n touches.
func transformCost(n int) int { return n * (bits.Len(uint(n)) - 1) }

// meter watches the work: it tells how much is done, and stops it.
type meter struct {
	ctx      context.Context // as long as one computation
	progress func(share float64)
	total    float64
	done     float64
}

func (m *meter) did(cost int) error {
	m.done += float64(cost)
	m.progress(min(m.done/m.total, 1))
	return m.ctx.Err()
}

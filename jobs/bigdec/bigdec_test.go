package bigdec

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"pharos/tasks"
)

func ignore(float64) {}

func fromBig(x *big.Int) Number {
	text := x.String()
	var n Number
	for end := len(text); end > 0; end -= limbDigits {
		limb := uint32(0)
		for _, d := range text[max(0, end-limbDigits):end] {
			limb = 10*limb + uint32(d-'0')
		}
		n = append(n, limb)
	}
	return n.trim()
}

func TestArithmetic(t *testing.T) {
	values := []uint64{0, 1, 2, epsilon, epsilon + 1, prime - 1, prime - 2, 1 << 63}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		values = append(values, rng.Uint64N(prime))
	}
	p, x, y, z := new(big.Int).SetUint64(prime), new(big.Int), new(big.Int), new(big.Int)
	for _, a := range values {
		for _, b := range values {
			x.SetUint64(a)
			y.SetUint64(b)
			if got, want := addMod(a, b), z.Add(x, y).Mod(z, p).Uint64(); got != want {
				t.Fatalf("%d + %d = %d, want %d", a, b, got, want)
			}
			if got, want := subMod(a, b), z.Sub(x, y).Mod(z, p).Uint64(); got != want {
				t.Fatalf("%d − %d = %d, want %d", a, b, got, want)
			}
			if got, want := mulMod(a, b), z.Mul(x, y).Mod(z, p).Uint64(); got != want {
				t.Fatalf("%d · %d = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	w := &worker{meter: &meter{ctx: t.Context(), progress: ignore, total: 1}}
	random := func(digits int) *big.Int {
		b := make([]byte, digits)
		for i := range b {
			b[i] = byte('0' + rng.IntN(10))
		}
		if rng.IntN(4) == 0 {
			b = bytes.Repeat([]byte("9"), digits) // the largest products
		}
		x, _ := new(big.Int).SetString(string(b), 10)
		return x
	}
	for _, digits := range []int{1, 5, 6, 7, 12, 100, 1000, 6143, 6144, 6145, 50_000, 200_000} {
		for range 3 {
			x, y := random(digits), random(1+rng.IntN(digits))
			got, err := w.mul(fromBig(x), fromBig(y))
			if want := new(big.Int).Mul(x, y); err != nil || got.String() != want.String() {
				t.Fatalf("product of %d digits is wrong (%v)", digits, err)
			}
			got, err = w.square(fromBig(x))
			if want := new(big.Int).Mul(x, x); err != nil || got.String() != want.String() {
				t.Fatalf("square of %d digits is wrong (%v)", digits, err)
			}
		}
	}
}

func TestFibonacci(t *testing.T) {
	ns := []uint64{61, 92, 93, 94, 121, 122, 1000, 4784, 4785, 9999, 65_536, 99_999, 300_001}
	for n := range uint64(200) {
		ns = append(ns, n)
	}
	for _, n := range ns {
		value, sum, err := Fibonacci(t.Context(), n, ignore)
		wantValue, wantSum := tasks.Fibonacci(n)
		if err != nil || value.String() != wantValue.String() || sum.String() != wantSum.String() {
			t.Fatalf("F(%d) is wrong: %.60s, sum %.60s (%v)", n, value, sum, err)
		}
	}
}

func TestFactorial(t *testing.T) {
	ns := []uint64{1000, 1023, 1024, 4999, 20_000, 50_001}
	for n := range uint64(150) {
		ns = append(ns, n)
	}
	for _, n := range ns {
		got, err := Factorial(t.Context(), n, ignore)
		if want := tasks.Factorial(n).String(); err != nil || got.String() != want {
			t.Fatalf("%d! is wrong: %.60s (%v)", n, got, err)
		}
	}
}

func TestWriting(t *testing.T) {
	for _, text := range []string{"0", "7", "999999", "1000000", "1000000000001", "9" + strings.Repeat("0123456789", 30_000)} {
		x, _ := new(big.Int).SetString(text, 10)
		n := fromBig(x)
		var out bytes.Buffer
		if k, err := n.WriteTo(&out); err != nil || int(k) != len(text) || out.String() != text || n.String() != text || n.Digits() != len(text) {
			t.Errorf("%.20s…: wrote %d bytes, %d digits (%v)", text, k, n.Digits(), err)
		}
	}
}

func TestProgressAndCancel(t *testing.T) {
	for name, compute := range map[string]func(context.Context, func(float64)) error{
		"fibonacci": func(ctx context.Context, p func(float64)) error {
			_, _, err := Fibonacci(ctx, 2_000_000, p)
			return err
		},
		"factorial": func(ctx context.Context, p func(float64)) error { _, err := Factorial(ctx, 60_000, p); return err },
	} {
		last, largestStep := 0.0, 0.0
		err := compute(t.Context(), func(share float64) {
			if share < last || share > 1 {
				t.Fatalf("%s: progress went from %g to %g", name, last, share)
			}
			largestStep = max(largestStep, share-last)
			last = share
		})
		if err != nil || last < 0.8 || largestStep > 0.25 {
			t.Errorf("%s: progress ended at %g, its largest step was %g (%v)", name, last, largestStep, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err = compute(ctx, func(share float64) {
			if share > 0.3 {
				cancel()
				calls++
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) || calls > 1 {
			t.Errorf("%s: %d steps after the cancellation, %v", name, calls-1, err)
		}
	}
}

// The largest numbers are too long to compare with math/big's; they are
// checked modulo a prime that the computation knows nothing of.
func TestLargest(t *testing.T) {
	if os.Getenv("PHAROS_TEST_LARGE") == "" {
		t.Skip("SKIPPED: takes seconds and 200 MB; set PHAROS_TEST_LARGE=1")
	}
	const q, n = 1_000_000_007, 100_000_000
	start := time.Now()
	value, sum, err := Fibonacci(t.Context(), n, ignore)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("F(%d): %d digits in %s", n, value.Digits(), time.Since(start))
	a, b := uint64(0), uint64(1)
	for range n {
		a, b = b, (a+b)%q
	}
	if value.Digits() != 20_898_764 || mod(value, q) != a || mod(sum, q) != (a+b+q-1)%q {
		t.Error("F(10⁸) is wrong")
	}
	start = time.Now()
	factorial, err := Factorial(t.Context(), 1_000_000, ignore)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("1000000!: %d digits in %s", factorial.Digits(), time.Since(start))
	// A prime above n, so that the product is not 0.
	want := uint64(1)
	for i := uint64(2); i <= 1_000_000; i++ {
		want = want * i % q
	}
	if factorial.Digits() != 5_565_709 || mod(factorial, q) != want {
		t.Error("1000000! is wrong")
	}
}

func mod(n Number, q uint64) uint64 {
	r := uint64(0)
	for i := len(n) - 1; i >= 0; i-- {
		r = (r*base + uint64(n[i])) % q
	}
	return r
}

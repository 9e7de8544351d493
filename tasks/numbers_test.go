package tasks_test

import (
	"math/big"
	"testing"

	"pharos/tasks"
)

func TestFibonacciKnownValues(t *testing.T) {
	// The values are OEIS A000045's, the sums A000071's.
	for _, tc := range []struct {
		n          uint64
		value, sum string
	}{
		{0, "0", "0"},
		{1, "1", "1"},
		{2, "1", "2"},
		{3, "2", "4"},
		{10, "55", "143"},
		{90, "2880067194370816120", "7540113804746346428"},
		{93, "12200160415121876738", "31940434634990099904"},
		{94, "19740274219868223167", "51680708854858323071"},
		{300, "222232244629420445529739893461909967206666939096499764990979600", "581811569836004006491505558634099066259034153405766997246569400"},
		{1000, "43466557686937456435688527675040625802564660517371780402481729089536555417949051890403879840079255169295922593080322634775209689623239873322471161642996440906533187938298969649928516003704476137795166849228875", "113796925398360272257523782552224175572745930353730513145086634176691092536145985470146129334641866902783673042322088625863396052888690096969577173696370562180400527049497109023054114771394568040040412172632375"},
	} {
		value, sum := tasks.Fibonacci(tc.n)
		if value.String() != tc.value {
			t.Errorf("F(%d) = %s, want %s", tc.n, value, tc.value)
		}
		if sum.String() != tc.sum {
			t.Errorf("F(0)+…+F(%d) = %s, want %s", tc.n, sum, tc.sum)
		}
	}
}

func TestFibonacciAgreesWithAddition(t *testing.T) {
	a, b, total := big.NewInt(0), big.NewInt(1), big.NewInt(0)
	for n := range uint64(3000) {
		total.Add(total, a)
		value, sum := tasks.Fibonacci(n)
		if value.Cmp(a) != 0 || sum.Cmp(total) != 0 {
			t.Fatalf("F(%d) = %s with sum %s, by addition %s and %s", n, value, sum, a, total)
		}
		a.Add(a, b)
		a, b = b, a
	}
}

func TestFactorialKnownValues(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "1", 1: "1", 2: "2", 3: "6", 4: "24", 5: "120", 10: "3628800",
		20:  "2432902008176640000",
		21:  "51090942171709440000",
		100: "93326215443944152681699238856266700490715968264381621468592963895217599993229915608941463976156518286253697920827223758251185210916864000000000000000000000000",
	} {
		if got := tasks.Factorial(n).String(); got != want {
			t.Errorf("%d! = %s, want %s", n, got, want)
		}
	}
}

func TestFactorialAgreesWithMultiplication(t *testing.T) {
	want, factor := big.NewInt(1), new(big.Int)
	for n := uint64(1); n <= 2000; n++ {
		want.Mul(want, factor.SetUint64(n))
		if got := tasks.Factorial(n); got.Cmp(want) != 0 {
			t.Fatalf("%d! = %s, by multiplication %s", n, got, want)
		}
	}
	const large = 54_321
	if got := tasks.Factorial(large); got.Cmp(new(big.Int).MulRange(1, large)) != 0 {
		t.Errorf("%d! differs from the product tree's", large)
	}
}

func TestAckermannKnownValues(t *testing.T) {
	for _, tc := range []struct {
		m, n uint64
		want string
	}{
		{0, 0, "1"},
		{1, 0, "2"},
		{2, 0, "3"},
		{2, 3, "9"},
		{3, 0, "5"},
		{3, 3, "61"},
		{3, 61, "18446744073709551613"},
		{4, 0, "13"},
		{4, 1, "65533"},
		{0, 1<<64 - 1, "18446744073709551616"},
		{2, 9007199254740991, "18014398509481985"},
	} {
		if got, ok := tasks.Ackermann(tc.m, tc.n); !ok || got.String() != tc.want {
			t.Errorf("A(%d, %d) = %s, %v, want %s", tc.m, tc.n, got, ok, tc.want)
		}
	}
	a42, ok := tasks.Ackermann(4, 2)
	digits := a42.String()
	if !ok || len(digits) != 19729 || digits[:20] != "20035299304068464649" || digits[len(digits)-20:] != "45587895905719156733" {
		t.Errorf("A(4, 2) has %d digits, %s…%s", len(digits), digits[:20], digits[len(digits)-20:])
	}
}

func TestAckermannWhatCannotBeWrittenOut(t *testing.T) {
	for _, mn := range [][2]uint64{{4, 3}, {4, 1 << 60}, {5, 0}, {5, 1}, {1 << 60, 0}} {
		if got, ok := tasks.Ackermann(mn[0], mn[1]); ok {
			t.Errorf("A(%d, %d) = %s, want none", mn[0], mn[1], got)
		}
	}
}

// TestAckermannAgreesWithDefinition runs the recursion itself, as far as it
// goes in memory.
func TestAckermannAgreesWithDefinition(t *testing.T) {
	known := map[[2]uint64]uint64{}
	var byDefinition func(m, n uint64) uint64
	byDefinition = func(m, n uint64) uint64 {
		if m == 0 {
			return n + 1
		}
		if value, ok := known[[2]uint64{m, n}]; ok {
			return value
		}
		var value uint64
		if n == 0 {
			value = byDefinition(m-1, 1)
		} else {
			value = byDefinition(m-1, byDefinition(m, n-1))
		}
		known[[2]uint64{m, n}] = value
		return value
	}
	for m, last := range []uint64{500, 500, 500, 12, 1} {
		for n := range last + 1 {
			want := byDefinition(uint64(m), n)
			if got, ok := tasks.Ackermann(uint64(m), n); !ok || got.Uint64() != want {
				t.Fatalf("A(%d, %d) = %s, by definition %d", m, n, got, want)
			}
		}
	}
}

// The benchmarks are at the default limits: what the worst request costs.

func BenchmarkFibonacci(b *testing.B) {
	for b.Loop() {
		value, sum := tasks.Fibonacci(1_000_000)
		_, _ = value.String(), sum.String()
	}
}

func BenchmarkFactorial(b *testing.B) {
	for b.Loop() {
		_ = tasks.Factorial(100_000).String()
	}
}

func BenchmarkAckermann(b *testing.B) {
	for b.Loop() {
		value, _ := tasks.Ackermann(3, 1_000_000)
		_ = value.String()
	}
}

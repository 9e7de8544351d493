package tasks

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"pharos/internal/fault"
)

// Limits bound what one request may ask for. The defaults keep a request well
// under a second on a slow core, the writing out in decimal included. The
// fields are settings of the environment.
type Limits struct {
	// FibonacciMaxN is the largest n of Fibonacci. F(1000000) has 208,988
	// digits, and so has the sum.
	FibonacciMaxN uint64 `env:"FIBONACCI_MAX_N" envDefault:"1000000"`
	// FactorialMaxN is the largest n of factorial. 100000! has 456,574 digits.
	FactorialMaxN uint64 `env:"FACTORIAL_MAX_N" envDefault:"100000"`
	// AckermannMaxN is the largest n of Ackermann for m up to 2, where the
	// value is about as long as n itself. The default is 2^53−1, the largest
	// whole number that every JSON reader keeps exact.
	AckermannMaxN uint64 `env:"ACKERMANN_MAX_N" envDefault:"9007199254740991"`
	// AckermannM3MaxN is the largest n of Ackermann for m = 3.
	// A(3, 1000000) has 301,031 digits.
	AckermannM3MaxN uint64 `env:"ACKERMANN_M3_MAX_N" envDefault:"1000000"`
	// Concurrency is how many large numbers are computed at once; at least 1.
	Concurrency int `env:"TASKS_CONCURRENCY" envDefault:"1"`
	// Wait is how long a request waits for its turn before it is refused with
	// fault.Unavailable. Zero refuses at once when no slot is free.
	Wait time.Duration `env:"TASKS_WAIT" envDefault:"2s"`
}

// ackermannM4MaxN is no setting: A(4, 3) has more digits than the universe
// has atoms.
const (
	ackermannMaxM   = 4
	ackermannM4MaxN = 2
)

// maxDigits is the size of result that no setting may go beyond. Such a number
// takes minutes and gigabytes; a larger setting is a slip of the keyboard.
const maxDigits = 1e8

// LargestAckermannN is the largest n that goes with m; ok is false where there
// is none.
func (l Limits) LargestAckermannN(m uint64) (n uint64, ok bool) {
	switch {
	case m > ackermannMaxM:
		return 0, false
	case m == 4:
		return ackermannM4MaxN, true
	case m == 3:
		return l.AckermannM3MaxN, true
	}
	return l.AckermannMaxN, true
}

func (l Limits) check() error {
	switch {
	case fibonacciDigits(l.FibonacciMaxN) > maxDigits:
		return fmt.Errorf("FIBONACCI_MAX_N=%d: its result has more than %s digits", l.FibonacciMaxN, about(maxDigits))
	case factorialDigits(l.FactorialMaxN) > maxDigits:
		return fmt.Errorf("FACTORIAL_MAX_N=%d: its result has more than %s digits", l.FactorialMaxN, about(maxDigits))
	case ackermannDigits(3, l.AckermannM3MaxN) > maxDigits:
		return fmt.Errorf("ACKERMANN_M3_MAX_N=%d: its result has more than %s digits", l.AckermannM3MaxN, about(maxDigits))
	case l.Concurrency < 1:
		return fmt.Errorf("TASKS_CONCURRENCY=%d: must be at least 1", l.Concurrency)
	case l.Wait < 0:
		return fmt.Errorf("TASKS_WAIT=%s: must not be negative", l.Wait)
	}
	return nil
}

func (l Limits) fibonacci(n uint64) error {
	if n <= l.FibonacciMaxN {
		return nil
	}
	return fault.Field(fault.LimitExceeded, "n",
		"n is limited to %d here (setting FIBONACCI_MAX_N); F(%d) has about %s digits.",
		l.FibonacciMaxN, n, about(fibonacciDigits(n)))
}

func (l Limits) factorial(n uint64) error {
	if n <= l.FactorialMaxN {
		return nil
	}
	return fault.Field(fault.LimitExceeded, "n",
		"n is limited to %d here (setting FACTORIAL_MAX_N); %d! has about %s digits.",
		l.FactorialMaxN, n, about(factorialDigits(n)))
}

func (l Limits) ackermann(m, n uint64) error {
	switch {
	case m == 5 && n == 0:
		return fault.Field(fault.LimitExceeded, "m",
			"m is limited to 4, because from A(5, 1) on even the number of digits is too long to write out. A(5, 0) equals A(4, 1): ask for that.")
	case m > ackermannMaxM:
		return fault.Field(fault.LimitExceeded, "m",
			"m is limited to 4: A(5, 1) is already a power tower of 65536 twos, less 3, so that even its number of digits is too long to write out.")
	case m == 4 && n == 3:
		return fault.Field(fault.LimitExceeded, "n",
			"For m = 4, n is limited to 2: A(4, 3) has about 6.03 × 10^19727 digits, more than there are atoms in the universe.")
	case m == 4 && n > ackermannM4MaxN:
		return fault.Field(fault.LimitExceeded, "n",
			"For m = 4, n is limited to 2: A(4, 3) has about 6.03 × 10^19727 digits, and A(4, %d) is larger still.", n)
	case m == 3 && n > l.AckermannM3MaxN:
		return fault.Field(fault.LimitExceeded, "n",
			"For m = 3, n is limited to %d here (setting ACKERMANN_M3_MAX_N); A(3, %d) has about %s digits.",
			l.AckermannM3MaxN, n, about(ackermannDigits(m, n)))
	case n > l.AckermannMaxN:
		return fault.Field(fault.LimitExceeded, "n",
			"For m up to 2, n is limited to %d here (setting ACKERMANN_MAX_N).", l.AckermannMaxN)
	}
	return nil
}

// digits is how many digits a number with the given decimal logarithm has.
func digits(log10 float64) float64 { return max(1, math.Floor(log10)+1) }

// about writes a count of digits with three significant digits.
func about(x float64) string {
	switch {
	case x < 1e6:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x < 999.5e6:
		return fmt.Sprintf("%.3g million", x/1e6)
	case x < 999.5e9:
		return fmt.Sprintf("%.3g billion", x/1e9)
	}
	exponent := math.Floor(math.Log10(x))
	return fmt.Sprintf("%.2f × 10^%.0f", x/math.Pow(10, exponent), exponent)
}

package tasks

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/env"
	"pharos/internal/fault"
)

func defaults(t *testing.T) Limits {
	t.Helper()
	var limits Limits
	if err := env.ParseMap(&limits, nil); err != nil {
		t.Fatal(err)
	}
	return limits
}

func calculator(t *testing.T, limits Limits) *Calculator {
	t.Helper()
	c, err := New(limits)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCalculatorAnswersAtTheLimits(t *testing.T) {
	c, ctx := calculator(t, defaults(t)), t.Context()
	for name, tc := range map[string]struct {
		answer func() (Answer, error)
		digits int
		last   string
	}{
		"F(1000000)":        {func() (Answer, error) { return c.Fibonacci(ctx, 1_000_000) }, 208_988, "68996526838242546875"},
		"100000!":           {func() (Answer, error) { return c.Factorial(ctx, 100_000) }, 456_574, "00000000000000000000"},
		"A(2, 2^53-1)":      {func() (Answer, error) { return c.Ackermann(ctx, 2, 1<<53-1) }, 17, "18014398509481985"},
		"A(3, 1000000)":     {func() (Answer, error) { return c.Ackermann(ctx, 3, 1_000_000) }, 301_031, "39107225301976875005"},
		"A(4, 2)":           {func() (Answer, error) { return c.Ackermann(ctx, 4, 2) }, 19_729, "45587895905719156733"},
		"F(0)":              {func() (Answer, error) { return c.Fibonacci(ctx, 0) }, 1, "0"},
		"0!":                {func() (Answer, error) { return c.Factorial(ctx, 0) }, 1, "1"},
		"A(0, 0)":           {func() (Answer, error) { return c.Ackermann(ctx, 0, 0) }, 1, "1"},
		"A(1, 999) is n+2.": {func() (Answer, error) { return c.Ackermann(ctx, 1, 999) }, 4, "1001"},
	} {
		answer, err := tc.answer()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(answer.Value) != tc.digits || !strings.HasSuffix(answer.Value, tc.last) {
			t.Errorf("%s has %d digits and ends in %s, want %d and %s",
				name, len(answer.Value), answer.Value[max(0, len(answer.Value)-20):], tc.digits, tc.last)
		}
	}
}

func TestCalculatorRefusesBeyondTheLimits(t *testing.T) {
	c, ctx := calculator(t, defaults(t)), t.Context()
	for name, tc := range map[string]struct {
		ask   func() (Answer, error)
		field string
		says  []string
	}{
		"F one beyond":   {func() (Answer, error) { return c.Fibonacci(ctx, 1_000_001) }, "n", []string{"1000000", "FIBONACCI_MAX_N", "208988 digits"}},
		"F(1e9)":         {func() (Answer, error) { return c.Fibonacci(ctx, 1e9) }, "n", []string{"1000000", "FIBONACCI_MAX_N", "209 million digits"}},
		"F far beyond":   {func() (Answer, error) { return c.Fibonacci(ctx, 1e18-1) }, "n", []string{"2.09 × 10^17 digits"}},
		"n! one beyond":  {func() (Answer, error) { return c.Factorial(ctx, 100_001) }, "n", []string{"100000", "FACTORIAL_MAX_N"}},
		"(1e9)!":         {func() (Answer, error) { return c.Factorial(ctx, 1e9) }, "n", []string{"8.57 billion digits"}},
		"A(2, too much)": {func() (Answer, error) { return c.Ackermann(ctx, 2, 1<<53) }, "n", []string{"9007199254740991", "ACKERMANN_MAX_N"}},
		"A(3, too much)": {func() (Answer, error) { return c.Ackermann(ctx, 3, 1_000_001) }, "n", []string{"1000000", "ACKERMANN_M3_MAX_N", "301032 digits"}},
		"A(4, 3)":        {func() (Answer, error) { return c.Ackermann(ctx, 4, 3) }, "n", []string{"limited to 2", "10^19727 digits"}},
		"A(4, 1e9)":      {func() (Answer, error) { return c.Ackermann(ctx, 4, 1e9) }, "n", []string{"limited to 2", "A(4, 1000000000)"}},
		"A(5, 0)":        {func() (Answer, error) { return c.Ackermann(ctx, 5, 0) }, "m", []string{"limited to 4", "A(4, 1)"}},
		"A(5, 1)":        {func() (Answer, error) { return c.Ackermann(ctx, 5, 1) }, "m", []string{"limited to 4", "65536 twos"}},
		"A(1e9, 0)":      {func() (Answer, error) { return c.Ackermann(ctx, 1e9, 0) }, "m", []string{"limited to 4"}},
	} {
		_, err := tc.ask()
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.LimitExceeded || f.Field != tc.field {
			t.Errorf("%s: %v, want %s about %s", name, err, fault.LimitExceeded, tc.field)
			continue
		}
		for _, words := range tc.says {
			if !strings.Contains(f.Detail, words) {
				t.Errorf("%s: %q does not say %q", name, f.Detail, words)
			}
		}
	}
}

func TestNewRefusesSettings(t *testing.T) {
	for setting, change := range map[string]func(*Limits){
		"FIBONACCI_MAX_N":    func(l *Limits) { l.FibonacciMaxN = 1e9 },
		"FACTORIAL_MAX_N":    func(l *Limits) { l.FactorialMaxN = 1e9 },
		"ACKERMANN_M3_MAX_N": func(l *Limits) { l.AckermannM3MaxN = math.MaxUint64 },
		"TASKS_CONCURRENCY":  func(l *Limits) { l.Concurrency = 0 },
		"TASKS_WAIT":         func(l *Limits) { l.Wait = -time.Second },
	} {
		limits := defaults(t)
		change(&limits)
		if _, err := New(limits); err == nil || !strings.HasPrefix(err.Error(), setting+"=") {
			t.Errorf("%s: error %v does not name it", setting, err)
		}
	}
}

func TestDigitsAreEstimatedWell(t *testing.T) {
	near := func(name string, estimate float64, value string) {
		if math.Abs(estimate-float64(len(value))) > 1 {
			t.Errorf("%s has %d digits, estimated %.1f", name, len(value), estimate)
		}
	}
	for _, n := range []uint64{0, 1, 2, 10, 90, 1000, 12345} {
		f, _ := Fibonacci(n)
		near("F", fibonacciDigits(n), f.String())
		near("n!", factorialDigits(n), Factorial(n).String())
		a, _ := Ackermann(3, n)
		near("A(3, n)", ackermannDigits(3, n), a.String())
	}
	a, _ := Ackermann(4, 2)
	near("A(4, 2)", ackermannDigits(4, 2), a.String())
}

const heavyN = 100_000 // F of it has 20,899 digits

func TestHeavyNumbersWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := calculator(t, Limits{FibonacciMaxN: heavyN, Concurrency: 1, Wait: 2 * time.Second})
		c.slots <- struct{}{} // another request computes
		go func() {
			time.Sleep(1900 * time.Millisecond)
			<-c.slots
		}()
		start := time.Now()
		answer, err := c.Fibonacci(t.Context(), heavyN)
		if waited := time.Since(start); err != nil || waited != 1900*time.Millisecond {
			t.Errorf("answered after %s with %v", waited, err)
		}
		if answer.Took != 0 { // the bubble's clock stands still while it computes
			t.Errorf("the wait is in Took: %s", answer.Took)
		}
		if len(c.slots) != 0 {
			t.Error("the slot was not given back")
		}
	})
}

func TestHeavyNumberThatWaitedTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := calculator(t, Limits{FibonacciMaxN: heavyN, Concurrency: 1, Wait: 2 * time.Second})
		c.slots <- struct{}{}
		start := time.Now()
		_, err := c.Fibonacci(t.Context(), heavyN)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter <= 0 || time.Since(start) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestHeavyNumberOfARequestThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := calculator(t, Limits{FibonacciMaxN: heavyN, Concurrency: 1, Wait: time.Hour})
		c.slots <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Fibonacci(ctx, heavyN)
		if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestSmallNumbersDoNotWait(t *testing.T) {
	c := calculator(t, Limits{FibonacciMaxN: heavyN, Concurrency: 1, Wait: 0})
	for range 100 {
		if _, err := c.Fibonacci(t.Context(), 50_000); err != nil {
			t.Fatalf("a slot is free: %v", err)
		}
	}
	c.slots <- struct{}{}
	if _, err := c.Fibonacci(t.Context(), 20_000); err != nil {
		t.Error(err)
	}
	if _, err := c.Fibonacci(t.Context(), 50_000); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a heavy number with no slot free: %v", err)
	}
}

package schedule

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCronAgainstOracle compares with Elastic's own class, under dev/with-oracle:
// every expression of the table and many random ones, from many moments.
func TestCronAgainstOracle(t *testing.T) {
	home := os.Getenv("ORACLE_HOME")
	if home == "" {
		t.Skip("SKIPPED: needs Elastic's own Watcher; run `make test-oracle`")
	}
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("SKIPPED: needs a JDK to ask Elastic's own class")
	}
	type question struct {
		expression string
		after      time.Time
	}
	random := rand.New(rand.NewPCG(1, 2))
	var questions []question
	for _, e := range cronExpressions {
		for range 20 {
			questions = append(questions, question{e, randomTime(random)})
		}
	}
	for range 20000 {
		questions = append(questions, question{randomExpression(random), randomTime(random)})
	}
	var in bytes.Buffer
	for _, q := range questions {
		fmt.Fprintf(&in, "%d\t%s\n", q.after.UnixMilli(), q.expression)
	}
	class := filepath.Join(home, "lib", "*") + ":" + filepath.Join(home, "modules", "x-pack-core", "*")
	command := exec.CommandContext(t.Context(), "java", "-cp", class, "testdata/CronNext.java")
	command.Stdin = &in
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	wrong, invalid := 0, 0
	for i, q := range questions {
		got := "invalid"
		if c, err := parseCron(q.expression); err == nil {
			got = "-1"
			// Elastic's does not look further than a hundred years.
			if next := c.nextIn(nil, q.after); !next.IsZero() && next.Year() < time.Now().Year()+100 {
				got = strconv.FormatInt(next.UnixMilli(), 10)
			}
		} else {
			invalid++
		}
		if got != answers[i] {
			if wrong++; wrong <= 40 {
				t.Errorf("%q after %s: got %s, oracle %s", q.expression, q.after.Format(time.RFC3339Nano), show(got), show(answers[i]))
			}
		}
	}
	t.Logf("%d expressions and moments, %d refused, %d differ", len(questions), invalid, wrong)
}

func show(millis string) string {
	n, err := strconv.ParseInt(millis, 10, 64)
	if err != nil || n < 0 {
		return millis
	}
	return time.UnixMilli(n).UTC().Format("Mon 2006-01-02T15:04:05Z")
}

func randomTime(r *rand.Rand) time.Time {
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	return time.UnixMilli(begin + r.Int64N(8*366*24*3600*1000)).UTC()
}

func randomExpression(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	n := func(from, to int) string { return strconv.Itoa(from + r.IntN(to-from+1)) }
	simple := func(from, to int) string {
		switch r.IntN(9) {
		case 0:
			return "*"
		case 1:
			return "*/" + n(1, to)
		case 2:
			return n(from, to) + "-" + n(from, to)
		case 3:
			return n(from, to) + "/" + n(0, to)
		case 4:
			return n(from, to) + "-" + n(from, to) + "/" + n(1, 9)
		case 5:
			return n(from, to) + "," + n(from, to) + "," + n(from, to)
		default:
			return n(from, to+1)
		}
	}
	day, weekday := simple(1, 31), "?"
	switch r.IntN(12) {
	case 0:
		// Elastic's loops for ever where such a day is not in every month.
		day = pick("L", "LW", "L-"+n(0, 27), "L-"+n(0, 25)+"W", "l", "L,5")
	case 1:
		day = n(1, 28) + "W"
	case 2, 3:
		day, weekday = "?", simple(1, 7)
	case 4:
		day, weekday = "?", n(1, 7)+"L"
	case 5:
		day, weekday = "?", n(1, 7)+"#"+n(0, 6)
	case 6:
		day, weekday = "?", pick("MON", "mon-fri", "FRI-MON", "MONDAY", "SUN,TUE", "FRIL", "TUE#2", "L", "XXX", "MON-FR")
	case 7:
		weekday = simple(1, 7)
	}
	months := pick("*", "*", "*", simple(1, 12), "JAN", "feb-apr", "NOV-FEB", "JAN,DEC", "13")
	tail := pick("", "", "", " *", " 2030", " 2020", " 2026-2030", " 2025/2", " 2030-2026", " * x")
	return simple(0, 59) + " " + simple(0, 59) + " " + simple(0, 23) + " " + day + " " + months + " " + weekday + tail
}

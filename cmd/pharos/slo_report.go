package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pharos/slo"
	"pharos/slo/rollup"
)

type sloReport struct {
	objectiveFiles
	Month string `help:"The month, as in 2026-11; the current one if it is not given." placeholder:"YYYY-MM"`
}

// Run implements the command.
func (r *sloReport) Run(ctx context.Context, c *cli) error {
	now := time.Now().UTC()
	from := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if r.Month != "" {
		var err error
		if from, err = time.Parse("2006-01", r.Month); err != nil {
			return usageError{fmt.Errorf("--month %q: want a month as in 2026-11", r.Month)}
		}
	}
	to := from.AddDate(0, 1, 0)
	if to.After(now) {
		to = now
	}
	if !from.Before(to) {
		return usageError{fmt.Errorf("--month %s has not begun", r.Month)}
	}
	objectives, err := r.load()
	if err != nil {
		return err
	}
	reader, err := sloReader()
	if err != nil {
		return err
	}
	var reviews []rollup.Review
	for _, o := range objectives {
		fmt.Fprintf(os.Stderr, "\r%-60s", o.Title)
		review, err := reader.Review(ctx, o, from, to)
		if err != nil {
			return err
		}
		reviews = append(reviews, review)
	}
	fmt.Fprintf(os.Stderr, "\r%-60s\r", "")
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"from": from, "to": to, "items": reviews})
	}
	return writeReport(os.Stdout, reviews, from, to)
}

// writeReport writes the managers' page: a table first, then each objective's
// review.
func writeReport(out io.Writer, reviews []rollup.Review, from, to time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Service levels, %s\n\n", from.Format("January 2006"))
	if whole := from.AddDate(0, 1, 0); to.Before(whole) {
		fmt.Fprintf(&b, "The month is not over: figures up to %s UTC.\n\n", to.Format("2 January 15:04"))
	}
	b.WriteString("| objective | target | attained | bad of all | budget used | verdict |\n|---|---:|---:|---:|---:|---|\n")
	for _, r := range reviews {
		o, c := r.Objective, r.Count
		if c.NoData() {
			fmt.Fprintf(&b, "| %s | %s | no data | | | nothing was counted |\n", title(o), slo.Percent(o.Target))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f of %.0f %s | %.1f %% | %s |\n", title(o), slo.Percent(o.Target), slo.Percent(c.Attained()),
			c.Bad(), c.Total, o.Unit(), c.BurnRate(o)*100, verdict(r))
	}
	for _, r := range reviews {
		review(&b, r)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func title(o slo.Objective) string {
	if o.Indicator.Ratio != nil && o.Indicator.Ratio.GroupBy != "" {
		return o.Title + " (each route)"
	}
	return o.Title
}

func verdict(r rollup.Review) string {
	if r.Count.BudgetLeft(r.Objective) >= 0 {
		return "met"
	}
	return "**missed**"
}

func review(b *strings.Builder, r rollup.Review) {
	o, c := r.Objective, r.Count
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", title(o), o.Description)
	if c.NoData() {
		b.WriteString("Nothing was counted. Proposal: find out whether the signal is missing (`pharos slo`, docs/metrics.md), or nobody used it.\n")
		return
	}
	allowed := c.Total * o.Budget()
	fmt.Fprintf(b, "%s: %.0f of %.0f %s were bad, %.4g were allowed.\n", strings.Trim(verdict(r), "*"), c.Bad(), c.Total, o.Unit(), allowed)
	if c.Bad() > 0 {
		b.WriteString("\nThe budget was spent by:\n\n")
		for _, p := range r.Parts {
			fmt.Fprintf(b, "- `%s`: %.0f bad of %.0f (%.0f %% of all that was bad in the parts)\n", p.Name, p.Count.Bad(), p.Count.Total, 100*p.Count.Bad()/sumBad(r.Parts))
		}
		for _, cause := range r.Causes {
			fmt.Fprintf(b, "- %s `%s`: %d bad\n", cause.Field, cause.Value, cause.Bad)
		}
		if day := worst(r.Days); day.Count.Bad() > 0 {
			fmt.Fprintf(b, "- the worst day was %s: %.0f bad, %.0f %% of all that was\n", day.Day.Format("2 January"), day.Count.Bad(), 100*day.Count.Bad()/c.Bad())
		}
	}
	fmt.Fprintf(b, "\nProposal: %s\n", proposal(r))
}

func sumBad(parts []rollup.Part) float64 {
	sum := 0.0
	for _, p := range parts {
		sum += p.Count.Bad()
	}
	return sum
}

func worst(days []rollup.Day) rollup.Day {
	var w rollup.Day
	for _, d := range days {
		if d.Count.Bad() > w.Count.Bad() {
			w = d
		}
	}
	return w
}

// proposal is what the error budget policy of the SRE workbook would do with
// such a month. https://sre.google/workbook/error-budget-policy/
func proposal(r rollup.Review) string {
	switch used := r.Count.BurnRate(r.Objective); {
	case used > 1:
		return "the budget is overspent. Mend what spent it before features are released; if users were content all the same, lower the target."
	case used > 0.75:
		return "little is left. Mend what spent it first, and release carefully."
	case used < 0.05 && len(r.Days) >= 20:
		return "hardly any of the budget was used. Release faster, or raise the target if users expect it."
	default:
		return "keep it as it is."
	}
}

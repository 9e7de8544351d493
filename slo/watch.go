package slo

import (
	"fmt"
	"strings"
	"time"

	"pharos/watcher/document"
)

// RollupStream is where package slo/rollup counts objectives into minutes.
const RollupStream = "metrics-slo-default"

// pair, obj and list make documents.
func pair(key string, value any) document.Pair      { return document.Pair{Key: key, Value: value} }
func obj(pairs ...document.Pair) *document.Object   { return document.NewObject(pairs...) }
func one(key string, value any) *document.Object    { return obj(pair(key, value)) }
func list(values ...any) []any                      { return values }
func term(field string, value any) *document.Object { return one("term", one(field, value)) }

// Windowed is the query with one more filter: that @timestamp is from (inside)
// to (outside), as Elasticsearch writes times and date math. The filter comes
// first, so that a query without others is elastic.Traffic's to the letter.
func Windowed(query *document.Object, from, to string) *document.Object {
	q := query.Clone()
	inner := document.At(q, "bool").(*document.Object)
	filter := list(one("range", one("@timestamp", obj(pair("gte", from), pair("lt", to)))))
	if rest, ok := inner.Get("filter"); ok {
		filter = append(filter, rest.([]any)...)
	}
	inner.Set("filter", filter)
	return q
}

// Watch is one burn-rate watch, in Elastic's format.
type Watch struct {
	ID   string
	Body *document.Object
}

// Watches makes the objective's burn-rate watches. The two that page search the
// signals themselves where they can, so that nothing waits for a minute to end;
// the slow one, and those of counters, thresholds and uptime, search the
// rollups.
func Watches(o Objective) []Watch {
	if o.Silent {
		return nil
	}
	var watches []Watch
	for _, b := range Burns() {
		watches = append(watches, BurnWatch(o, b))
	}
	return watches
}

// BurnWatch makes the watch of one rule, which need not be one of Burns.
func BurnWatch(o Objective, b Burn) Watch {
	return Watch{ID: "slo-" + o.Name + "-" + b.Name, Body: watch(o, b)}
}

func watch(o Objective, b Burn) *document.Object {
	q := rolledUp(o)
	if r := o.Indicator.Ratio; r != nil && b.Page && len(r.Total.Counters) == 0 {
		q = direct(*r)
	}
	group := ""
	if o.Indicator.Ratio != nil {
		group = o.Indicator.Ratio.GroupBy
	}
	name, incident := o.Title, "slo-"+o.Name
	if group != "" {
		name += " of {{ctx.payload.group}}"
		incident += "-{{ctx.payload.group}}"
	}
	text := fmt.Sprintf("%s: the error budget burns {{ctx.payload.burn}} times too fast (over %s: {{ctx.payload.bad}} of {{ctx.payload.total}} %s bad; objective %s). At this rate the %s budget is gone in {{ctx.payload.gone_in}}.",
		name, short(b.Long), o.Unit(), Percent(o.Target), short(o.Window))
	pharos := obj(
		pair("resolve", true), pair("severity", severity(b)), pair("service", o.Service),
		pair("hold", short(min(b.Short, 5*time.Minute))),
		pair("labels", obj(pair("slo", o.Name), pair("burn", b.Name))),
	)
	if group != "" {
		pharos.Set("group_by", "group")
	}
	if o.Runbook != "" {
		pharos.Set("runbook", o.Runbook)
	}
	actions := obj()
	add := func(id string, action *document.Object) {
		actions.Set(id, obj(pair("foreach", "ctx.payload.burning")).Set(action.Keys()[0], value(action)))
	}
	add("log", one("logging", one("text", text)))
	if b.Page {
		add("page", one("pagerduty", obj(
			pair("description", text), pair("incident_key", incident),
			pair("event_type", "trigger"), pair("attach_payload", true),
		)))
	}
	add("tell", one("slack", one("message", obj(pair("text", text)))))
	return obj(
		pair("metadata", obj(
			pair("name", fmt.Sprintf("%s, %s burn", o.Title, b.Name)),
			pair("objective", o.Name), pair("target", o.Target), pair("factor", b.Factor), pair("budget", o.Budget()),
			pair("minimum_events", max(o.MinimumEvents, 1)), pair("minimum_bad", b.minimumBad(o)), pair("window_hours", o.Window.Hours()),
			pair("pharos", pharos),
		)),
		pair("trigger", one("schedule", one("interval", short(b.Every)))),
		pair("input", q.input(b, group)),
		pair("condition", one("script", obj(pair("lang", "painless"), pair("source", burning+"return list.size() > 0;")))),
		pair("transform", one("script", obj(pair("lang", "painless"), pair("source", burning+"return ['burning': list];")))),
		pair("throttle_period", short(b.Short)),
		pair("actions", actions),
	)
}

func value(one *document.Object) any {
	v, _ := one.Get(one.Keys()[0])
	return v
}

func severity(b Burn) string {
	switch {
	case b.Name == "fast":
		return "critical"
	case b.Page:
		return "error"
	default:
		return "warning"
	}
}

// questions are the searches of a watch. Both answer with two filters, long and
// short, each over groups.
type questions struct {
	total Source
	part  Source
	good  bool // part counts what is good, else what is bad
}

func direct(r Ratio) questions {
	part, good := r.Part()
	return questions{total: r.Total, part: part, good: good}
}

// rolledUp asks the rollups. Minutes of components and of regions are left out
// of the whole's: each has documents of its own.
func rolledUp(o Objective) questions {
	query := func() *document.Object {
		return one("bool", obj(
			pair("filter", list(term("slo.name", o.Name))),
			pair("must_not", list(one("exists", one("field", "slo.component")))),
		))
	}
	return questions{
		total: Source{Index: RollupStream, Query: query(), Sum: "slo.total"},
		part:  Source{Index: RollupStream, Query: query(), Sum: "slo.good"},
		good:  true,
	}
}

func (q questions) input(b Burn, group string) *document.Object {
	inputs := list(
		one("total", search(q.total, b, group)),
		one("part", search(q.part, b, group)),
		one("rule", one("simple", obj(pair("good", q.good), pair("part_summed", q.part.Sum != ""), pair("total_summed", q.total.Sum != "")))),
	)
	return one("chain", one("inputs", inputs))
}

// search counts over both windows, which end where the watch was due: two
// searches a second apart still count the same.
func search(s Source, b Burn, group string) *document.Object {
	end := "{{ctx.trigger.scheduled_time}}"
	window := func(d time.Duration) *document.Object {
		counted := obj()
		if s.Sum != "" {
			counted.Set("sum", one("sum", one("field", s.Sum)))
		}
		groups := one("filters", one("filters", one("all", one("match_all", obj()))))
		if group != "" {
			groups = one("terms", obj(pair("field", group), pair("size", int64(maxGroups))))
		}
		if counted.Len() > 0 {
			groups.Set("aggs", counted)
		}
		return obj(
			pair("filter", one("range", one("@timestamp", obj(pair("gte", end+"||-"+short(d)), pair("lt", end))))),
			pair("aggs", one("groups", groups)),
		)
	}
	return one("search", one("request", obj(
		pair("indices", list(s.Index)),
		pair("indices_options", obj(pair("expand_wildcards", "open"), pair("ignore_unavailable", true), pair("allow_no_indices", true))),
		pair("body", obj(
			pair("size", int64(0)),
			pair("query", Windowed(s.Query, end+"||-"+short(b.Long), end)),
			pair("aggs", obj(pair("long", window(b.Long)), pair("short", window(b.Short)))),
		)),
	)))
}

// maxGroups is how many groups of an objective are looked at: far more than
// there are routes.
const maxGroups = 200

// burning makes list: for each group that burns at the factor or faster over
// both windows its counts. filters answers with an object of buckets, terms with
// a list.
const burning = `Map counts(def search, boolean summed) {
  Map all = [:];
  if (search.aggregations == null) { return all; }
  for (window in ['long', 'short']) {
    def buckets = search.aggregations[window].groups.buckets;
    if (buckets instanceof Map) {
      def b = buckets.all;
      all[window + ':'] = summed ? b.sum.value : b.doc_count;
    } else {
      for (b in buckets) { all[window + ':' + b.key] = summed ? b.sum.value : b.doc_count; }
    }
  }
  return all;
}
double number(Map all, String key) { return all.containsKey(key) && all[key] != null ? ((Number) all[key]).doubleValue() : 0.0; }
def rule = ctx.payload.rule;
def m = ctx.metadata;
double budget = ((Number) m.budget).doubleValue();
double factor = ((Number) m.factor).doubleValue();
double least = ((Number) m.minimum_events).doubleValue();
double leastBad = ((Number) m.minimum_bad).doubleValue();
Map total = counts(ctx.payload.total, rule.total_summed);
Map part = counts(ctx.payload.part, rule.part_summed);
List list = [];
for (key in total.keySet()) {
  if (key.startsWith('long:') == false) { continue; }
  String group = key.substring(5);
  double t = number(total, key);
  double s = number(total, 'short:' + group);
  if (t < least || s <= 0) { continue; }
  double bad = rule.good ? t - number(part, key) : number(part, key);
  double shortBad = rule.good ? s - number(part, 'short:' + group) : number(part, 'short:' + group);
  double burn = bad / t / budget;
  if (bad < leastBad || burn < factor || shortBad / s / budget < factor) { continue; }
  double hours = ((Number) m.window_hours).doubleValue() / burn;
  list.add([
    'group': group, 'bad': Math.round(bad), 'total': Math.round(t), 'burn': Math.round(burn * 10) / 10.0,
    'short_bad': Math.round(shortBad), 'short_total': Math.round(s),
    'gone_in': hours >= 48 ? Math.round(hours / 24) + ' d' : hours >= 2 ? Math.round(hours) + ' h' : Math.round(hours * 60) + ' min'
  ]);
}
`

// short writes a duration in Elasticsearch's units: 5m, 1h, 3d, 10s.
func short(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// Percent writes a share with as many nines as decide: 99.9 %, 99.997 %.
func Percent(share float64) string {
	text := strings.TrimRight(fmt.Sprintf("%.5f", share*100), "0")
	return strings.TrimSuffix(text, ".") + " %"
}

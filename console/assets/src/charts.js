// Charts: draws the numbers that stand beside each figure, with one cursor for
// all charts of the page; a drag over one shows that time.
import uPlot from "uplot";

const cursor = { sync: { key: "page" }, drag: { x: true, y: false, setScale: false } };
const drawn = new Map();

function digits(x) {
  if (x === 0) return "0";
  const before = Math.floor(Math.log10(Math.abs(x))) + 1;
  const after = before < 1 ? Math.min(3 - before, 6) : Math.max(0, 3 - before);
  return String(Number(x.toFixed(after)));
}

function scaled(x, units) {
  let i = 0;
  while (Math.abs(x) >= 999.5 && i < units.length - 1) { x /= 1000; i++; }
  return units[i] ? `${digits(x)} ${units[i]}` : digits(x);
}

// As page/format.go writes them.
export function write(unit, x) {
  if (x == null) return "no data";
  switch (unit) {
    case "rate": return `${scaled(x, ["", "k", "M", "G"])}/s`;
    case "bytes": return scaled(x, ["B", "kB", "MB", "GB", "TB"]);
    case "times": return `${scaled(x, ["", "k", "M"])} ×`;
    case "share": return `${digits(x * 100)} %`;
    case "seconds": {
      const abs = Math.abs(x);
      if (abs === 0) return "0 s";
      if (abs < 1e-3) return `${digits(x * 1e6)} µs`;
      if (abs < 0.9995) return `${digits(x * 1e3)} ms`;
      if (abs < 120) return `${digits(x)} s`;
      if (abs < 3600) return `${digits(x / 60)} min`;
      if (abs < 172800) return `${digits(x / 3600)} h`;
      return `${digits(x / 86400)} d`;
    }
    default: return scaled(x, ["", "k", "M", "G", "T"]);
  }
}

// An axis is as wide as its longest label, and no narrower than others of the
// page, so that their plots begin at one line.
function width(u, labels, axis, cycle) {
  const a = u.axes[axis];
  if (cycle > 1) return a._size;
  u.ctx.font = a.font[0];
  const longest = Math.max(0, ...(labels ?? []).map((text) => u.ctx.measureText(text).width));
  return Math.max(64, Math.ceil(longest / devicePixelRatio) + a.ticks.size + a.gap + 2);
}

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A colour that a canvas understands: light-dark() is for style sheets only.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function stacked(chart) {
  const sums = chart.times.map(() => 0);
  return chart.series.map((s) => s.values.map((v, i) => (v == null ? null : (sums[i] += v))));
}

function draw(figure) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const plot = figure.querySelector(".plot");
  let order = chart.series.map((_, i) => i);
  const upon = chart.stacked ? stacked(chart) : chart.series.map((s) => s.values);
  if (chart.stacked) order = order.reverse(); // the tallest first, so that none hides another
  const line = colour("line");
  const muted = colour("muted");
  const series = order.map((i) => ({
    label: chart.series[i].name,
    stroke: colour(chart.series[i].colour),
    fill: chart.stacked ? colour(chart.series[i].colour) : undefined,
    width: chart.stacked ? 0 : chart.series[i].dashed ? 1 : 1.5,
    dash: chart.series[i].dashed ? [4, 4] : undefined,
    // A value between two gaps is no line.
    points: chart.stacked ? { show: false } : { show: true, size: 4, filter: (u, at) => u.data[at].flatMap((v, k, all) => (v != null && all[k - 1] == null && all[k + 1] == null ? [k] : [])) },
    paths: chart.stacked ? uPlot.paths.bars({ size: [1, 60], align: 1 }) : undefined,
    value: (u, v, s, at) => (at == null ? "" : write(chart.unit, chart.series[i].values[at])),
  }));
  const data = [chart.times, ...order.map((i) => upon[i])];
  if (chart.objective != null) {
    series.push({ label: "objective", stroke: colour("muted"), dash: [4, 4], width: 1, points: { show: false }, value: () => write(chart.unit, chart.objective) });
    data.push(chart.times.map(() => chart.objective));
  }
  const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: `12px ${token("sans")}` };
  plot.replaceChildren();
  // The day where a tick is midnight or the first one, else the time of day.
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: chart.to - chart.from < 300 ? "2-digit" : undefined, hourCycle: "h23" });
  const times = (_, ticks) => ticks.map((t, i) => {
    const at = new Date(t * 1000);
    const midnight = at.getHours() === 0 && at.getMinutes() === 0;
    return midnight || (i === 0 && chart.to - chart.from > 86400) ? day.format(at) : clock.format(at);
  });
  const u = new uPlot({
    width: plot.clientWidth, height: Number(figure.dataset.height) || 160,
    cursor: { ...cursor, points: { size: 5 } },
    legend: { live: true },
    scales: {
      x: { time: true, range: () => [chart.from, chart.to] },
      y: chart.log ? { distr: 3 } : { range: (_, low, high) => [low < 0 ? low * 1.05 : 0, high > 0 ? high * 1.05 : 1] },
    },
    axes: [{ ...axis, values: times, space: 72 }, { ...axis, size: width, values: (_, ticks) => ticks.map((t) => (t == null ? "" : write(chart.unit, t))) }],
    series: [{ label: "time", value: (_, t) => (t == null ? "" : new Date(t * 1000).toLocaleString(undefined, { hourCycle: "h23" })) }, ...series],
    hooks: {
      setSelect: [(self) => {
        if (self.select.width < 4) return;
        const at = (px) => new Date(Math.round(self.posToVal(px, "x")) * 1000).toISOString();
        const next = new URL(location.href);
        next.searchParams.set("from", at(self.select.left));
        next.searchParams.set("to", at(self.select.left + self.select.width));
        next.searchParams.delete("refresh");
        next.searchParams.delete("cursor");
        location.assign(next);
      }],
    },
  }, data, plot);
  drawn.set(figure, u);
}

const sizes = new ResizeObserver((entries) => {
  for (const e of entries) {
    const figure = e.target.closest("figure");
    const u = drawn.get(figure);
    if (u && Math.abs(u.width - e.contentRect.width) > 1 && e.contentRect.width > 0) u.setSize({ width: e.contentRect.width, height: u.height });
  }
});

export function charts(root) {
  for (const [figure, u] of drawn) {
    if (!figure.isConnected) { u.destroy(); drawn.delete(figure); }
  }
  for (const figure of root.querySelectorAll("figure[data-chart]")) {
    if (drawn.has(figure) || !figure.querySelector("script")) continue;
    draw(figure);
    sizes.observe(figure.querySelector(".plot"));
  }
}

// A canvas keeps its colours: it is drawn again in the other scheme.
const again = () => { for (const figure of [...drawn.keys()]) { drawn.get(figure).destroy(); drawn.delete(figure); draw(figure); } };
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

// The equity curve above its drawdown, and the percentile plot of the hops.

const charts = { points: [], range: 0, drawn: null, equity: null, fall: null };
const tone = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function chartOptions(at, series, values, top) {
  const box = el(at), soft = tone("--soft"), grid = tone("--grid");
  const axis = { stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 },
    font: "11px system-ui, sans-serif" };
  return {
    width: Math.max(box.clientWidth, 120), height: box.clientHeight,
    legend: { show: false }, padding: [10, 16, 0, 0],
    cursor: { sync: { key: "money" }, y: false, drag: { x: true, y: false } },
    scales: { x: { time: true }, y: { range: (chart, low, high) => top(low, high) } },
    axes: [{ ...axis, show: at === "fall-chart", size: 26, space: 90, values: times },
      { ...axis, size: 74, space: 26, values: (chart, ticks) => ticks.map(values) }],
    series: [{}, { width: 1.6, points: { show: false }, ...series }],
    tzDate: seconds => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    hooks: { setCursor: [chart => readOut(chart.cursor.idx)] },
  };
}

// Seconds only where a tick is less than a minute from the next.
function times(chart, ticks) {
  const close = ticks.length > 1 && ticks[1] - ticks[0] < 60;
  return ticks.map(seconds => new Date(seconds * 1e3).toISOString().slice(11, close ? 19 : 16));
}

// Some room above and below, and never a flat line at the edge.
function around(low, high) {
  if (low == null) return [0, 1];
  const room = (high - low) * 0.08 || Math.max(Math.abs(high) * 1e-5, 0.01);
  return [low - room, high + room];
}

function buildCharts() {
  for (const chart of [charts.equity, charts.fall]) if (chart) chart.destroy();
  const data = [[], []];
  charts.equity = new uPlot(chartOptions("equity-chart",
    { stroke: tone("--mark"), fill: tone("--fill") }, v => num(v, 2), around), data,
  el("equity-chart"));
  charts.fall = new uPlot(chartOptions("fall-chart",
    { stroke: tone("--fall"), fill: tone("--fallfill"), fillTo: 0 }, v => num(v, 3) + " %",
    low => [Math.min(low ?? 0, 0) * 1.1 - 0.0005, 0]), data, el("fall-chart"));
  drawCharts();
}

// Points as the page got them: [{ts_ns, equity, drawdown_ratio}].
function setEquity(points) {
  charts.points = points;
  drawCharts();
}

function pointsShown() {
  const { points, range } = charts;
  if (!range || !points.length) return points;
  const from = points[points.length - 1].ts_ns - range * 1e9;
  const first = points.findIndex(point => point.ts_ns >= from);
  return points.slice(Math.max(first - 1, 0));
}

function drawCharts() {
  if (!charts.equity) return;
  const points = pointsShown();
  charts.drawn = points;
  const times = points.map(point => point.ts_ns / 1e9);
  charts.equity.setData([times, points.map(point => point.equity)]);
  charts.fall.setData([times, points.map(point => -point.drawdown_ratio * 100)]);
  readOut(null);
  if (!points.length) return;
  const values = points.map(point => point.equity);
  const falls = points.map(point => point.drawdown_ratio);
  const last = points[points.length - 1];
  // Not by spreading: a curve may have more points than a call has room for.
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const deepest = falls.reduce((a, b) => Math.max(a, b));
  el("equity-chart").setAttribute("aria-label",
    `Equity of ${points.length} points: lowest ${num(low, 2)}, highest ${num(high, 2)}, ` +
    `now ${num(last.equity, 2)}`);
  el("fall-chart").setAttribute("aria-label",
    `Drawdown: deepest ${percent(deepest, 3)}, now ${percent(last.drawdown_ratio, 3)}`);
}

// The values under the cursor, or the newest ones.
function readOut(index) {
  const points = charts.drawn || [];
  const at = el("equity-text");
  const point = points[index ?? points.length - 1];
  if (!point) { put(at, "no points yet"); return; }
  const parts = children(at, 3, () => made("span"));
  const show = (part, name, text) => {
    if (!part.firstChild) part.append(made("span"), made("b"), document.createTextNode("   "));
    put(part.children[0], name + " ");
    put(part.children[1], text);
  };
  if (at.firstChild && at.firstChild.nodeType === Node.TEXT_NODE) at.firstChild.remove();
  show(parts[0], clock(point.ts_ns), num(point.equity, 4) + " " + quote());
  show(parts[1], "drawdown", percent(point.drawdown_ratio, 3));
  show(parts[2], "points", num(points.length));
  at.dataset.points = points.length;
  at.dataset.last = points[points.length - 1].equity;
}

new ResizeObserver(() => {
  for (const [chart, id] of [[charts.equity, "equity-chart"], [charts.fall, "fall-chart"]]) {
    const width = el(id).clientWidth, height = el(id).clientHeight;
    if (chart && width && (chart.width !== width || chart.height !== height)) {
      chart.setSize({ width, height });
    }
  }
}).observe(el("equity-chart"));

for (const button of document.querySelectorAll("[data-range]")) {
  button.addEventListener("click", () => {
    charts.range = Number(button.dataset.range);
    for (const other of document.querySelectorAll("[data-range]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    drawCharts();
  });
}

// A logarithmic scale over whole decades that holds every hop; [place, decades].
function scaleOf(hops) {
  const seen = hops.flatMap(hop => [hop.p50, hop.max]).filter(ns => ns > 0);
  if (!seen.length) return [() => 0, []];
  const low = Math.floor(Math.log10(Math.min(...seen)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...seen))), low + 1);
  const place = ns => (Math.log10(Math.max(ns, 1)) - low) / (high - low) * 100;
  const decades = [];
  for (let d = low; d <= high; d++) decades.push(10 ** d);
  return [place, decades];
}

const SHORT = ns => ns < 1e3 ? ns + " ns" : ns < 1e6 ? ns / 1e3 + " µs" : ns < 1e9 ?
  ns / 1e6 + " ms" : ns / 1e9 + " s";

function drawDecades(place, decades) {
  const marks = children(el("decades"), decades.length, () => made("span"));
  decades.forEach((ns, at) => {
    put(marks[at], SHORT(ns));
    marks[at].style.left = place(ns).toFixed(1) + "%";
  });
}

// One hop's strip: a line from median to maximum, and a shape for each percentile.
function strip(hop, place) {
  return td => {
    let box = td.firstElementChild;
    if (!box) {
      box = made("div", "hops");
      box.setAttribute("aria-hidden", "true");
      for (const cls of ["span", "max", "p999", "p99", "p50"]) box.append(made("i", cls));
      td.append(box);
    }
    const [line, max, p999, p99, p50] = box.children;
    const at = ns => place(ns).toFixed(2) + "%";
    line.style.left = at(hop.p50);
    line.style.width = Math.max(place(hop.max) - place(hop.p50), 0).toFixed(2) + "%";
    [[max, hop.max], [p999, hop.p999], [p99, hop.p99], [p50, hop.p50]].forEach(([mark, ns]) => {
      mark.style.left = at(ns);
    });
  };
}

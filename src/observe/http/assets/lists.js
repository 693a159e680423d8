// The panels that have an answer of their own: orders, fills, latency, alerts, journal.

// Shown at most; the answers have up to 200.
const ROWS_MAX = 60;
const newest = rows => rows.slice(-ROWS_MAX).reverse();
const SIDES = { buy: ["▲ buy", "gain"], sell: ["▼ sell", "loss"] };
const sideOf = side => SIDES[side] || [side, ""];

// Ids of a session differ at their end; the whole one is told on demand.
const idOf = id => [id.length > 8 ? "…" + id.slice(-8) : id, "id", id];

function orderRow(o, reason) {
  const row = [clock(o.ts_ns, true), [o.symbol, "left"], sideOf(o.side), words(o.order_type || NONE),
    o.purpose || NONE, price(o.symbol, o.px, 2), [num(o.qty, 4), "", exact(o.qty)],
    [num(o.cum_qty, 4), "", exact(o.cum_qty)],
    [words(o.state), o.state === "unknown" || o.state === "rejected" ? "bad" : "", "", true]];
  if (reason) row.push([o.reason || NONE, o.reason ? "warn" : ""]);
  row.push(idOf(o.client_id));
  return row;
}

function showOrders(orders) {
  const open = orders.filter(order => order.open);
  fill("working", newest(open).map(o => orderRow(o, false)), "no order is working");
  put(el("working-n"), open.length ? `${open.length} open` : "");
  fill("orders", newest(orders).map(o => orderRow(o, true)), "no orders yet");
  put(el("orders-n"), orders.length > ROWS_MAX ?
    `newest ${ROWS_MAX} of the last ${orders.length}` : `${orders.length}`);
}

function showFills(fills) {
  fill("fills", newest(fills).map(f => [clock(f.ts_ns, true), [f.symbol, "left"], sideOf(f.side),
    price(f.symbol, f.px, 2), [num(f.qty, 4), "", exact(f.qty)], [num(f.fee, 6), "", exact(f.fee)],
    f.maker ? "maker" : "taker", idOf(f.client_id)]), "no fills yet");
  put(el("fills-n"), fills.length > ROWS_MAX ?
    `newest ${ROWS_MAX} of the last ${fills.length}` : `${fills.length}`);
}

function showLatency(latency) {
  const all = latency.since_start_ns, recent = latency.recent_ns;
  const hops = Object.entries(all);
  const [place, decades] = scaleOf(hops.map(([, hop]) => hop));
  drawDecades(place, decades);
  fill("latency", hops.map(([name, hop]) => [words(name), num(hop.count), span(hop.p50),
    span(hop.p99), span(hop.p999), span(hop.max), recent[name] ? span(recent[name].p99) : NONE,
    strip(hop, place)]), "nothing passed yet");
  const worst = latency.worst || [];
  el("worst").hidden = !worst.length;
  const chips = children(el("worst-list"), worst.length, () => made("li"));
  worst.forEach((one, at) => {
    put(chips[at], `${words(one.hop)} ${span(one.ns)} at ${num(one.seq)}`);
    chips[at].title = "place in the river: " + one.seq;
  });
}

// A list of entries: time, kind, text.
function list(id, rows, empty) {
  const shown = rows.length ? rows : [["", "", empty, ""]];
  const items = children(el(id), shown.length, () => {
    const item = made("li");
    item.append(made("time"), made("span", "kind"), made("span", "what"));
    return item;
  });
  shown.forEach(([time, kind, text, cls, key], at) => {
    const [when, what, told] = items[at].children;
    put(when, time);
    put(what, kind);
    put(told, text);
    if (what.className !== "kind " + cls) what.className = "kind " + cls;
    items[at].dataset.key = key || "";
  });
}

const ALARMS = { P0: ["■ P0", "bad"], P1: ["■ P1", "bad"], P2: ["▲ P2", "warn"],
  P3: ["○ P3", "soft"] };

function showAlerts(alerts) {
  list("alerts", newest(alerts).map(a => {
    const [mark, cls] = ALARMS[a.priority] || [a.priority, ""];
    const text = a.count > 1 ? `${a.text} (${num(a.count)} ×)` : a.text;
    return [clock(a.ts_ns), mark, text, cls, a.key];
  }), "no alerts");
  const grave = alerts.filter(a => a.priority < "P2").length;
  put(el("alerts-n"), alerts.length ? `${grave} of ${alerts.length} are grave` : "");
}

// Fields that every record has come first; what is left is told as the dump names it.
const HEADER = new Set(["lane", "record", "kind", "instrument", "seq", "ts_venue", "ts_recv", "flags"]);
const BAD_KINDS = new Set(["Gap", "Malformed", "Denied", "OrderRejected", "OrderUnknown",
  "StateChange", "Breaker"]);

function showJournal(records) {
  list("journal", newest(records).map(r => {
    const fields = Object.entries(r).filter(([name, value]) => !HEADER.has(name) && value !== 0 &&
      value !== "0" && value !== "" && value !== null && !/^0{16,}$/.test(value));
    const text = fields.map(([name, value]) => name + "=" +
      (String(value).length > 24 ? String(value).slice(0, 20) + "…" : value)).join("  ");
    const where = r.instrument ? r.instrument + "  " : "";
    return [clock(r.ts_recv, true), r.kind, where + text, BAD_KINDS.has(r.kind) ? "warn" : "",
      r.lane + "/" + r.record];
  }), "no records yet");
}

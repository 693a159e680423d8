// Every panel shows what the API says: the page's texts are held against an answer of the same
// snapshot that was asked for beside it, rounded to the digits shown.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeBrowser, Demo, Memory, openPage, parse, readPage, shows, showsTime, until }
  from "./support.mjs";

let demo, memory, view;
before(async () => {
  demo = await Demo.start();
  memory = new Memory(demo);
  view = await openPage(demo);
});
after(async () => {
  await memory?.stop();
  await closeBrowser();
  await demo?.stop();
});

// A panel as it is, and the API's answer of the very snapshot it shows.
const panel = name => until(`an answer of what ${name} shows`, async () => {
  const { panels, strip } = await readPage(view.page);
  const shown = panels[name], answer = memory.at(shown.source, shown.taken);
  return answer && { shown, answer, strip };
});
const words = name => name.replaceAll("_", " ");

test("the strip tells state and readiness, and how old they are", async () => {
  const { answer, strip } = await panel("figures");
  const marks = { active: "●", reducing: "▲", reconciling: "▲", halted: "■", killed: "■" };
  assert.equal(strip.state, `${marks[answer.trading_state]} ${answer.trading_state}`);
  assert.equal(strip.ready, answer.ready ? "ready" :
    "not ready: " + answer.not_ready.map(words).join(", "));
  assert.equal(strip.mode, "demo");
  assert.match(strip.age, /^(live|stale), \d\.\d s old$/);
});

test("the key figures are the account's, the counters' and the ratios'", async () => {
  const { shown, answer } = await panel("figures");
  const { account, performance, counters, risk, latency_recent_ns, latency_ns } = answer;
  const first = name => shown.pairs[name][0];
  shows(first("PnL"), account.pnl_quote, "profit");
  shows(first("Equity"), account.equity, "equity");
  shows(first("Drawdown"), account.drawdown_ratio, "drawdown", 100);
  shows(shown.pairs.Drawdown[1], account.drawdown_ratio_max, "largest drawdown", 100);
  shows(first("Position"), risk.find(r => r.name === "gross_notional_max").used, "position");
  shows(first("Sharpe"), performance.sharpe, "Sharpe");
  shows(first("Sortino"), performance.sortino, "Sortino");
  shows(first("Win rate"), performance.win_rate, "win rate", 100);
  shows(first("Profit factor"), performance.profit_factor, "profit factor");
  assert.equal(shown.pairs["Win rate"][1], `${performance.won} of ${performance.round_trips} round trips`);
  shows(first("Fees"), account.fees, "fees");
  shows(first("Funding"), account.funding, "funding");
  shows(first("Orders"), counters.orders, "orders");
  shows(first("Denied"), counters.denied, "denied");
  const own = Object.entries(Object.keys(latency_recent_ns).some(hop => hop !== "wire") ?
    latency_recent_ns : latency_ns).filter(([hop]) => hop !== "wire");
  showsTime(first("Worst hop p99"), Math.max(...own.map(([, hop]) => hop.p99)), "worst hop");
});

test("the session's figures agree with each other", async () => {
  const { answer } = await panel("figures");
  const sum = (rows, part) => rows.reduce((all, row) => all + row[part], 0);
  const { account, performance, symbols } = answer;
  // The equity has every mark of its moment, a symbol that of its own newest record: apart by
  // what prices moved meanwhile, ten basis points at most.
  const held = answer.positions.reduce((all, p) => all + Math.abs(p.qty * p.mark_px), 0);
  const apart = Math.abs(sum(symbols, "pnl_quote") - account.pnl_quote);
  assert.ok(apart <= held * 1e-3 + 1e-6, `profit by symbol is ${apart} off`);
  assert.equal(sum(symbols, "round_trips"), performance.round_trips);
  assert.equal(sum(symbols, "won"), performance.won);
  if (performance.loss > 0) {
    assert.ok(Math.abs(performance.profit_factor - performance.gain / performance.loss) < 1e-9);
  }
});

test("equity and drawdown are drawn, point for point", async () => {
  const { shown, answer } = await panel("equity");
  const note = shown.notes["equity-text"];
  assert.equal(Number(note.points), answer.length);
  assert.equal(Number(note.last), answer.at(-1).equity);
  const [, rest] = /([\d,.]+) USDT\s+drawdown ([\d.]+) %/.exec(note.text) ? [0, note.text] : [];
  assert.ok(rest, note.text);
  shows(/([\d,.]+) USDT/.exec(note.text)[1], answer.at(-1).equity, "newest equity");
  shows(/drawdown ([\d.]+)/.exec(note.text)[1], answer.at(-1).drawdown_ratio, "drawdown", 100);
  let peak = -Infinity;
  const start = answer[0].equity / (1 - answer[0].drawdown_ratio);
  for (const point of answer) {
    peak = Math.max(peak, point.equity, start);
    assert.ok(Math.abs(point.drawdown_ratio - (peak - point.equity) / peak) < 1e-6, "drawdown");
  }
  // The curves are there to be seen: pixels of their colours.
  const seen = await view.page.evaluate(() => ["equity-chart", "fall-chart"].map((id, at) => {
    const canvas = document.querySelector(`#${id} canvas`);
    const css = getComputedStyle(document.documentElement);
    const hex = css.getPropertyValue(at ? "--fall" : "--mark").trim();
    const want = [1, 3, 5].map(from => parseInt(hex.slice(from, from + 2), 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 200 && want.every((c, k) => Math.abs(data[i + k] - c) < 24)) count += 1;
    }
    return count;
  }));
  assert.ok(seen.every(count => count > 50), `pixels of the curves: ${seen}`);
});

test("positions and profit by symbol are the API's", async () => {
  const { shown, answer } = await panel("positions");
  const rows = shown.tables.positions;
  assert.equal(rows.length, answer.positions.length);
  for (const [at, position] of answer.positions.entries()) {
    const money = answer.symbols.find(row => row.symbol === position.symbol);
    const [symbol, qty, entry, mark, unrealised, realised, fees, funding, pnl, won] = rows[at];
    assert.equal(symbol, position.symbol);
    shows(qty, position.qty, "quantity");
    shows(entry, position.qty ? position.entry_px : null, "entry");
    shows(mark, position.mark_px || null, "mark");
    shows(unrealised, position.unrealised, "unrealised");
    shows(realised, money.realised, "realised");
    shows(fees, money.fees, "fees");
    shows(funding, money.funding, "funding");
    shows(pnl, money.pnl_quote, "profit");
    assert.equal(won, `${money.won} of ${money.round_trips}`);
  }
});

test("books, predictions and the feed's health are the API's", async () => {
  const { shown, answer } = await panel("markets");
  for (const [at, market] of answer.markets.entries()) {
    const [symbol, book, bid, ask, spread, age, ...odds] = shown.tables.markets[at];
    assert.equal(symbol, market.symbol);
    assert.equal(book, market.book_valid ? "● valid" : "■ invalid");
    shows(bid, market.bid_px, "bid");
    shows(ask, market.ask_px, "ask");
    const mid = (market.bid_px + market.ask_px) / 2;
    shows(spread, (market.ask_px - market.bid_px) / mid * 1e4, "spread");
    shows(age, market.age_seconds, "age");
    (market.probability || []).forEach((p, place) => shows(odds[place], p, "probability"));
  }
  const names = { Frames: "frames", Malformed: "frames_malformed", Gaps: "gaps",
    "Book syncs": "book_syncs", Connects: "connects", Dropped: "dropped",
    Predictions: "predictions", "No decision": "no_decisions" };
  for (const [name, counter] of Object.entries(names)) {
    shows(shown.pairs[name][0], answer.counters[counter], name);
  }
  assert.equal(shown.notes.feed.text.includes("● market streams up"), answer.feed.market_down === 0);
  assert.equal(shown.notes.feed.text.includes("● account stream up"), !answer.feed.account_down);
});

test("working orders, latest orders and fills are the API's, newest first", async () => {
  const side = { buy: "▲ buy", sell: "▼ sell" };
  const time = ns => new Date(ns / 1e6).toISOString().slice(11, 23);
  const { shown: all, answer: orders } = await panel("orders");
  const newest = rows => rows.slice(-60).reverse();
  const orderIs = (row, o) => {
    assert.deepEqual(row.slice(0, 5), [time(o.ts_ns), o.symbol, side[o.side], o.order_type, o.purpose]);
    shows(row[5], o.px || null, "price");
    shows(row[6], o.qty, "quantity");
    shows(row[7], o.cum_qty, "filled");
    assert.equal(row[8], words(o.state));
    assert.ok(o.client_id.endsWith(row.at(-1).replace("…", "")), "id");
  };
  assert.equal(all.tables.orders.length, Math.min(orders.length, 60));
  newest(orders).forEach((order, at) => orderIs(all.tables.orders[at], order));
  const { shown: open, answer: again } = await panel("working");
  const working = newest(again.filter(order => order.open));
  assert.equal(open.tables.working.length, working.length);
  working.forEach((order, at) => orderIs(open.tables.working[at], order));

  const { shown, answer: fills } = await panel("fills");
  assert.ok(fills.length > 0 && shown.tables.fills.length === Math.min(fills.length, 60));
  newest(fills).forEach((f, at) => {
    const row = shown.tables.fills[at];
    assert.deepEqual(row.slice(0, 3), [time(f.ts_ns), f.symbol, side[f.side]]);
    shows(row[3], f.px, "price");
    shows(row[4], f.qty, "quantity");
    shows(row[5], f.fee, "fee");
    assert.equal(row[6], f.maker ? "maker" : "taker");
  });
});

test("every hop's percentiles are the API's, on a scale where longer is further right", async () => {
  const { shown, answer } = await panel("latency");
  const hops = Object.entries(answer.since_start_ns);
  assert.ok(hops.length >= 8, "receive to wire");
  hops.forEach(([name, hop], at) => {
    const [told, count, p50, p99, p999, max, recent] = shown.tables.latency[at];
    assert.equal(told, words(name));
    shows(count, hop.count, name);
    for (const [text, part] of [[p50, "p50"], [p99, "p99"], [p999, "p999"], [max, "max"]]) {
      showsTime(text, hop[part], `${name} ${part}`);
    }
    showsTime(recent, answer.recent_ns[name]?.p99, `${name}, last second`);
  });
  const places = await view.page.evaluate(() => [...document.querySelectorAll(".hops")].map(box =>
    ["p50", "p99", "p999", "max"].map(cls => parseFloat(box.querySelector("." + cls).style.left))));
  for (const place of places) {
    assert.deepEqual(place, [...place].sort((a, b) => a - b));
    assert.ok(place[0] >= 0 && place[3] <= 100.01, String(place));
  }
});

test("each limit is a bar as long as it is used", async () => {
  const { shown, answer } = await panel("limits");
  assert.ok(answer.risk.length >= 12, "limits");
  for (const limit of answer.risk) {
    const bar = shown.bars[limit.name];
    const [used, allowed] = bar.text.replace(/^[■▲] \w+ /, "").split(" of ");
    shows(used, limit.used, limit.name);
    shows(allowed, limit.limit, limit.name);
    const share = Math.min(limit.used / limit.limit, 1) * 100;
    assert.ok(Math.abs(bar.width - share) <= 0.06 && Math.abs(bar.now - share) <= 0.51, limit.name);
    assert.equal(bar.tone === "bad", limit.tripped, limit.name);
  }
  // What is at stake is what the positions say, with the entries that are still open.
  const gross = answer.risk.find(limit => limit.name === "gross_notional_max").used;
  const held = answer.positions.reduce((sum, p) => sum + Math.abs(p.qty * p.mark_px), 0);
  assert.ok(gross >= held - 0.01, `${gross} and ${held}`);
});

test("every breaker tells its state, what it found and where it trips", async () => {
  const { shown, answer } = await panel("breakers");
  const breakers = answer.controls.filter(control => !control.name.startsWith("check_"));
  assert.ok(breakers.length >= 24 && Object.keys(shown.cards).length === breakers.length);
  for (const breaker of breakers) {
    const [name, state, of] = shown.cards[breaker.name];
    assert.equal(name, words(breaker.name));
    assert.equal(state.slice(2), breaker.dead ? "dead" : breaker.level);
    const [value, limit] = of.split(" of ");
    shows(value, breaker.value, breaker.name);
    shows(limit, breaker.limit, breaker.name);
  }
  assert.equal(shown.tables.controls.length, answer.controls.length);
  for (const [name, looked, near, tripped] of shown.tables.controls) {
    const control = answer.controls.find(known => words(known.name) === name);
    shows(looked, control.evaluated, name);
    shows(near, control.near, name);
    shows(tripped, control.tripped, name);
  }
});

test("champion and challengers stand side by side", async () => {
  const { shown, answer } = await panel("models");
  const rows = new Map(shown.tables.models.map(([name, ...cells]) => [name, cells]));
  assert.deepEqual(shown.tables["models head"].slice(1, answer.models.length + 1),
    answer.models.map(model => model.version));
  answer.models.forEach((model, at) => {
    assert.equal(rows.get("Stage")[at], model.stage);
    assert.equal(rows.get("Executor")[at], model.executor);
    assert.equal(rows.get("Verified")[at], model.verified ? "● yes" : "■ no");
    shows(rows.get("Predictions")[at], model.predictions, "predictions");
    shows(rows.get("Failed answers")[at], model.faults, "faults");
    assert.ok(model.sha256.startsWith(rows.get("SHA-256")[at].replace("…", "")));
  });
  shows(rows.get("Profit")[0], answer.account.pnl_quote, "the champion's profit");
});

test("alerts and the journal's newest records are the API's, newest first", async () => {
  const time = (ns, end) => new Date(ns / 1e6).toISOString().slice(11, end);
  const { shown, answer } = await panel("alerts");
  assert.ok(answer.length > 0, "a session's start is an alert");
  assert.equal(shown.lists.alerts.length, Math.min(answer.length, 60));
  answer.slice(-60).reverse().forEach((alert, at) => {
    const [when, mark, text] = shown.lists.alerts[at].parts;
    assert.equal(when, time(alert.ts_ns, 19));
    assert.equal(mark.slice(2), alert.priority);
    assert.ok(text.startsWith(alert.text), text);
  });
  const journal = await panel("journal");
  assert.ok(journal.answer.length > 20, "records");
  journal.answer.slice(-60).reverse().forEach((record, at) => {
    const { key, parts } = journal.shown.lists.journal[at];
    assert.equal(key, `${record.lane}/${record.record}`);
    assert.deepEqual(parts.slice(0, 2), [time(record.ts_recv, 23), record.kind]);
    if (record.instrument) assert.ok(parts[2].startsWith(record.instrument));
  });
});

test("threads, rings and the machine are the API's", async () => {
  const { shown, answer } = await panel("machine");
  answer.threads.forEach((thread, at) => {
    const [name, core, turns, beat] = shown.tables.threads[at];
    assert.deepEqual([name, core], [thread.name, String(thread.core ?? "any")]);
    shows(turns, thread.turns, "turns");
    assert.equal(beat.startsWith("●"), thread.beating);
  });
  assert.ok(answer.rings.length >= 4, "rings");
  for (const ring of answer.rings) {
    const [occupied, capacity] = shown.bars[ring.name].text.replace("▲ ", "").split(" of ");
    shows(occupied, ring.occupied, ring.name);
    shows(capacity, ring.capacity, ring.name);
  }
  const { resources } = answer;
  const unit = text => ({ MiB: 2 ** -20, GiB: 2 ** -30 })[parse(text).rest];
  const [memory_, disk] = [shown.pairs.Memory[0], shown.pairs["Disk free"][0]];
  shows(memory_, resources.resident_bytes, "memory", unit(memory_));
  shows(disk, resources.disk_free_bytes, "disk", unit(disk));
  shows(shown.pairs["Open files"][0], resources.open_files, "files");
});

test("every panel is live without a reload", async () => {
  const taken = async () => Object.entries((await readPage(view.page)).panels)
    .map(([name, shown]) => [name, BigInt(shown.taken)]);
  const first = new Map(await taken());
  await until("every panel shows a newer snapshot", async () =>
    (await taken()).every(([name, ns]) => ns > first.get(name)));
  const events = async () => (await panel("figures")).answer.counters.events;
  const before_ = await events();
  await until("events go on", async () => (await events()) > before_);
});

test("no error on the console, and nothing asked of anybody else", () => {
  assert.deepEqual(view.faults, []);
});

// The panels that are drawn from the state: one function each, called with the newest answer.

const MARKS = { good: "●", warn: "▲", bad: "■", idle: "○" };
const STATES = { active: "good", reducing: "warn", reconciling: "warn", halted: "bad", killed: "bad" };
const LEVELS = { clear: "good", warn: "warn", reduce: "warn", halt: "bad", kill: "bad" };
let quoteName = "quote";
const quote = () => quoteName;

function showStrip(s) {
  put(el("mode"), s.session.mode);
  const tone = STATES[s.trading_state] || "idle";
  el("state").dataset.tone = tone;
  put(el("state"), MARKS[tone] + " " + s.trading_state);
  el("state").dataset.value = s.trading_state;
  const reasons = s.not_ready.map(words).join(", ");
  put(el("ready"), s.ready ? "ready" : "not ready: " + reasons);
  el("ready").className = s.ready ? "ready" : "ready bad";
  const pnl = num(s.account.pnl_quote, 2, true);
  document.title = `${MARKS[tone]} ${s.trading_state} ${pnl} ${quote()} · Peregrine`;
  put(el("journal-dir"), "journal " + s.session.journal);
  put(el("version"), s.session.version);
}

// The hop whose slowest percent of the last second, or else of the session, took longest. The wire
// is the venue's.
function worstHop(s) {
  for (const [hops, when] of [[s.latency_recent_ns, "last second"], [s.latency_ns, "since start"]]) {
    const own = Object.entries(hops).filter(([hop]) => hop !== "wire");
    const [hop, view] = own.reduce((a, b) => b[1].p99 > a[1].p99 ? b : a, [null, { p99: -1 }]);
    if (hop) return { hop, p99: view.p99, when };
  }
  return null;
}

function showFigures(s, rate) {
  const a = s.account, p = s.performance, c = s.counters, unit = quote();
  const gross = s.risk.find(limit => limit.name === "gross_notional_max");
  const held = s.positions.filter(position => position.qty !== 0);
  const worst = worstHop(s);
  const step = p.step_seconds >= 3600 ? "1 h" : p.step_seconds >= 60 ? "1 min" : "10 s";
  const ratio = p.step_seconds > 0 ? `annualised, ${step} returns` : "too early to tell";
  const list = [
    ["PnL", num(a.pnl_quote, 4, true), sign(a.pnl_quote), `${unit}, after fees`],
    ["Equity", num(a.equity, 2), "", unit],
    ["Drawdown", percent(a.drawdown_ratio, 3), "", "largest " + percent(a.drawdown_ratio_max, 3)],
    ["Position", gross ? num(gross.used, 2) : NONE, "", held.length ?
      held.map(h => `${num(h.qty, 4, true)} ${h.symbol}`).join(", ") : `flat, ${unit} gross`],
    ["Worst hop p99", worst ? span(worst.p99) : NONE, "",
      worst ? `${words(worst.hop)}, ${worst.when}` : "nothing passed yet"],
    ["Events", num(rate), "", `a second; ${num(c.events)} in all`],
    ["Sharpe", num(p.sharpe, 2), "", ratio],
    ["Sortino", num(p.sortino, 2), "", ratio],
    ["Win rate", percent(p.win_rate, 1), "", `${num(p.won)} of ${num(p.round_trips)} round trips`],
    ["Profit factor", num(p.profit_factor, 2), "",
      `+${num(p.gain, 2)} over −${num(p.loss, 2)}`],
    ["Fees", num(a.fees, 4), "", `${unit} paid`],
    ["Funding", num(a.funding, 4, true), "", `${unit} received`],
    ["Orders", num(c.orders), "", `${num(c.fills)} fills, ${num(c.cancels)} cancels`],
    ["Denied", num(c.denied), "", `${num(c.rejected)} rejected, ${num(c.held_back)} held back`],
  ];
  pairs("figures", list.slice(0, 6));
  pairs("figures-more", list.slice(6));
}

const UNITS = { quote: () => quote(), percent: () => "%", count: () => "", bps: () => "bp",
  ms: () => "ms", us: () => "µs", MiB: () => "MiB" };
const unitOf = unit => (UNITS[unit] || (() => unit))();
const placesOf = unit => unit === "quote" ? 2 : unit === "percent" || unit === "bps" ? 1 : 0;

function showLimits(s) {
  bars("limits", s.risk.map(limit => {
    const share = limit.limit > 0 ? limit.used / limit.limit : 1;
    const places = placesOf(limit.unit), unit = unitOf(limit.unit);
    const text = limit.limit == null ? "not set: denies entries" :
      `${num(limit.used, places)} of ${num(limit.limit, places)} ${unit}`.trim();
    const tone = limit.tripped || limit.limit == null ? "bad" : share >= 0.8 ? "warn" : "";
    const mark = limit.tripped ? "■ reached" : share >= 0.8 ? "▲ near" : "";
    const label = words(limit.name.replace(/_(bps|ms)?_?max.*$/, ""));
    return { name: limit.name, label, text, mark, share, tone, title: limit.name };
  }));
}

function showPositions(s) {
  const places = new Map(s.symbols.map(row => [row.symbol, row]));
  const rows = s.positions.map(p => {
    const m = places.get(p.symbol) || {};
    return [p.symbol, [num(p.qty, 4, true), sign(p.qty), exact(p.qty), true],
      p.qty ? price(p.symbol, p.entry_px, 2) : NONE, price(p.symbol, p.mark_px, 2),
      [num(p.unrealised, 4, true), sign(p.unrealised), "", true],
      num(m.realised, 4, true), num(m.fees, 4), num(m.funding, 4, true),
      [num(m.pnl_quote, 4, true), sign(m.pnl_quote), exact(m.pnl_quote), true],
      `${num(m.won)} of ${num(m.round_trips)}`];
  });
  fill("positions", rows, "no instruments");
}

function showMarkets(s, rate) {
  for (const m of s.markets) {
    learnDecimals(m.symbol, m.bid_px);
    learnDecimals(m.symbol, m.ask_px);
  }
  const rows = s.markets.map(m => {
    const mid = (m.bid_px + m.ask_px) / 2;
    const age = m.age_seconds < 1e6 ? num(m.age_seconds, 1) + " s" : NONE;
    const p = m.probability || [null, null, null];
    const asleep = m.state === "asleep";
    const book = m.book_valid ? ["● valid", "good"] : ["■ invalid", "bad"];
    return [m.state === "leaving" ? `${m.symbol} (leaving)` : m.symbol,
      asleep ? ["○ asleep", ""] : book, price(m.symbol, m.bid_px), price(m.symbol, m.ask_px),
      mid > 0 ? num((m.ask_px - m.bid_px) / mid * 1e4, 2) : NONE,
      asleep ? NONE : [age, m.age_seconds > 2 ? "warn" : ""],
      num(p[0], 3), num(p[1], 3), num(p[2], 3), odds(p)];
  });
  fill("markets", rows, "no instruments");
  const f = s.feed, c = s.counters;
  const down = f.market_down ? `■ ${f.market_down} market streams down` : "● market streams up";
  put(el("feed"), `${down}, ${f.account_down ? "■ account stream down" : "● account stream up"}`);
  el("feed").className = f.market_down || f.account_down ? "bad" : "note";
  pairs("feed-figures", [
    ["Events/s", num(rate)], ["Frames", num(c.frames)], ["Malformed", num(c.frames_malformed)],
    ["Gaps", num(c.gaps)], ["Book syncs", num(c.book_syncs)], ["Connects", num(c.connects)],
    ["Dropped", num(c.dropped), c.dropped ? "bad" : ""], ["Predictions", num(c.predictions)],
    ["No decision", num(c.no_decisions)],
  ]);
}

// Three probabilities as one bar.
function odds(p) {
  return td => {
    let box = td.firstElementChild;
    if (!box) {
      box = made("div", "odds");
      box.setAttribute("aria-hidden", "true");
      for (const cls of ["down", "flat", "up"]) box.append(made("i", cls));
      td.append(box);
    }
    [...box.children].forEach((part, at) => { part.style.width = (p[at] || 0) * 100 + "%"; });
  };
}

function showBreakers(s) {
  const gate = s.controls.filter(control => control.name.startsWith("check_"));
  const own = s.controls.filter(control => !control.name.startsWith("check_"));
  const levels = Object.keys(LEVELS);
  const rank = control => levels.indexOf(control.level) * 2 + (control.dead ? 1 : 0);
  const cards = children(el("breakers"), own.length, () => {
    const card = made("li");
    const track = made("span", "track");
    track.append(made("i"));
    card.append(made("span", "name"), made("b"), made("span", "of"), track);
    return card;
  });
  [...own].sort((a, b) => rank(b) - rank(a)).forEach((b, at) => {
    const [name, state, of, track] = cards[at].children;
    const tone = b.dead ? "bad" : LEVELS[b.level] || "idle";
    const places = b.unit === "quote" ? 2 : 0, unit = unitOf(b.unit);
    cards[at].dataset.name = b.name;
    put(name, words(b.name));
    put(state, `${MARKS[tone]} ${b.dead ? "dead" : b.level}`);
    state.dataset.tone = tone;
    put(of, `${num(b.value, places)} of ${num(b.limit, places)} ${unit}`.trim());
    const share = b.value > 0 && b.limit > 0 ? Math.min(b.value / b.limit, 1) : 0;
    track.firstChild.style.width = (share * 100).toFixed(1) + "%";
    cards[at].title = `looked ${num(b.evaluated)} times, near ${num(b.near)}, tripped ` +
      num(b.tripped);
  });
  const off = own.filter(control => control.level !== "clear").length;
  put(el("breakers-n"), off ? `${off} of ${own.length} tripped` : `all ${own.length} clear`);
  const all = [...s.controls].sort((a, b) => b.tripped - a.tripped || b.near - a.near);
  fill("controls", all.map(c => [words(c.name), num(c.evaluated), num(c.near),
    [num(c.tripped), c.tripped ? "warn" : ""]]));
  put(el("controls-n"), `${own.length} and ${gate.length}; size of entries ` +
    `${num(s.size_percent)} %`);
}

function showModels(s) {
  const row = s.models.concat(s.shadow.filter(shadow =>
    !s.models.some(model => model.version === shadow.version)));
  const compared = new Map(s.shadow.map(shadow => [shadow.version, shadow]));
  const head = el("models").tHead.rows[0];
  const cells = children(head, row.length + 1, at => made(at ? "th" : "td"));
  row.forEach((model, at) => {
    cells[at + 1].scope = "col";
    put(cells[at + 1], model.version);
  });
  // The account's figures are the champion's where no symbol has a model of its own.
  const champion = row.some(model => model.stage === "own") ? null :
    row.find(model => model.stage === "champion");
  const line = (name, of) => [name, ...row.map(of)];
  const other = (model, of) => {
    const shadow = compared.get(model.version);
    return shadow ? of(shadow) : NONE;
  };
  const rate = s.session.uptime_seconds;
  fill("models", [
    line("Stage", m => m.stage || "challenger"),
    line("Symbols", m => m.symbols && m.symbols.length ? m.symbols.join(", ") : NONE),
    line("Share", m => m.share_bps ? percent(m.share_bps / 10000, 0) : NONE),
    line("Executor", m => m.executor || NONE),
    line("Verified", m => m.verified == null ? NONE :
      m.verified ? ["● yes", "good"] : ["■ no", "bad"]),
    line("Predictions", m => num(m.predictions)),
    line("Failed answers", m => m.faults == null ? NONE : [num(m.faults), m.faults ? "bad" : ""]),
    line("A second", m => rate > 0 && m.predictions != null ? num(m.predictions / rate, 1) : NONE),
    line("Profit", m => m === champion ? [num(s.account.pnl_quote, 4, true), sign(s.account.pnl_quote)] :
      other(m, shadow => [num(shadow.pnl_quote, 4, true), sign(shadow.pnl_quote)])),
    line("Sharpe", m => m === champion ? num(s.performance.sharpe, 2) :
      other(m, shadow => num(shadow.sharpe, 2))),
    line("Compared", m => other(m, shadow => num(shadow.decisions))),
    line("Agrees", m => other(m, shadow => percent(shadow.agreement_ratio, 1))),
    line("SHA-256", m => [m.sha256 ? m.sha256.slice(0, 16) + "…" : NONE, "soft", m.sha256]),
  ]);
  const lag = s.shadow_lag;
  put(el("models-note"), lag.failed
    ? `The trial of the challengers ended by a fault, which the log names; ${num(lag.dropped)} inputs were lost.`
    : s.shadow.length ? `Challengers are ${num(lag.events_behind)} inputs behind, the newest they saw is ` +
      `${num(lag.behind_ms / 1000, 1)} s old; ${num(lag.mismatches)} rows came out differently.`
      : "No challenger runs beside the champion.");
}

function showMachine(s, cpu) {
  fill("threads", s.threads.map(t => [t.name, t.core == null ? "any" : String(t.core), num(t.turns),
    t.beating ? ["● beats", "good"] : [`■ silent ${num(t.silent_seconds, 1)} s`, "bad"]]));
  bars("rings", s.rings.map(r => {
    const share = r.capacity ? r.occupied / r.capacity : 0;
    return { name: r.name, label: words(r.name), share, tone: share >= 0.5 ? "warn" : "",
      mark: share >= 0.5 ? "▲" : "", text: `${num(r.occupied)} of ${num(r.capacity)}` };
  }));
  const r = s.resources;
  pairs("machine", [
    ["Memory", bytes(r.resident_bytes)], ["Processor", cpu == null ? NONE : num(cpu, 0) + " %"],
    ["Open files", num(r.open_files)], ["Disk free", bytes(r.disk_free_bytes)],
    ["Uptime", lasted(s.session.uptime_seconds)], ["Records", num(s.counters.journal_records)],
  ]);
}

"use strict";
// How values are written, and how they get onto the page: as text, never as markup.

const el = id => document.getElementById(id);
const NONE = "–";

// `places` decimals, always as many, so that digits stand below each other. A true minus sign.
function num(value, places = 0, plus = false) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const text = Math.abs(value).toLocaleString("en",
    { minimumFractionDigits: places, maximumFractionDigits: places });
  const zero = !/[1-9]/.test(text);
  if (value < 0 && !zero) return "−" + text;
  return plus && !zero ? "+" + text : text;
}

// As many decimals as the value has, up to eight.
function exact(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const text = Math.abs(value).toLocaleString("en", { maximumFractionDigits: 8 });
  return value < 0 && text !== "0" ? "−" + text : text;
}

function percent(ratio, places = 2) {
  return ratio == null ? NONE : num(ratio * 100, places) + " %";
}

// Nanoseconds in the unit that leaves one to three digits before the point.
function span(ns) {
  if (ns == null) return NONE;
  if (ns < 1e3) return num(ns) + " ns";
  if (ns < 1e6) return num(ns / 1e3, 1) + " µs";
  if (ns < 1e9) return num(ns / 1e6, 1) + " ms";
  return num(ns / 1e9, 1) + " s";
}

// 14:03:07 or 14:03:07.125, UTC.
function clock(ns, millis = false) {
  if (!ns) return NONE;
  return new Date(ns / 1e6).toISOString().slice(11, millis ? 23 : 19);
}

function lasted(seconds) {
  const s = Math.floor(seconds);
  const two = n => String(n).padStart(2, "0");
  const days = Math.floor(s / 86400);
  const rest = two(Math.floor(s / 3600) % 24) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
  return days ? days + " d " + rest : rest;
}

function bytes(count) {
  if (count >= 2 ** 30) return num(count / 2 ** 30, 1) + " GiB";
  return num(count / 2 ** 20) + " MiB";
}

const words = name => String(name).replaceAll("_", " ");
const sign = value => value > 0 ? "gain" : value < 0 ? "loss" : "";

// The symbol's quote currency, where its name tells it.
function quoteOf(symbol) {
  const found = /(USDT|USDC|FDUSD|BUSD|BTC)$/.exec(symbol || "");
  return found ? found[1] : null;
}

// Prices of a symbol are written with as many decimals as its touch ever had.
const decimalsSeen = new Map();
function learnDecimals(symbol, value) {
  const text = value.toFixed(8).replace(/0+$/, "");
  const places = text.length - text.indexOf(".") - 1;
  if (places > (decimalsSeen.get(symbol) || 0)) decimalsSeen.set(symbol, places);
}
const price = (symbol, value, more = 0) =>
  value ? num(value, Math.min(8, (decimalsSeen.get(symbol) ?? 2) + more)) : NONE;

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

// Sets a text; a change of what was there before is lit up for a moment where that is wanted.
function put(node, text, flash = false) {
  if (node.textContent === text) return;
  const before = node.textContent;
  node.textContent = text;
  if (flash && before && before !== NONE && !calm.matches && !document.hidden) {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--mark");
    const under = `inset 0 -2px 0 ${colour}`;
    node.animate([{ boxShadow: under }, { boxShadow: "inset 0 -2px 0 transparent" }],
      { duration: 1200, easing: "ease-out" });
  }
}

function made(tag, cls, text) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text != null) node.textContent = text;
  return node;
}

// Brings the children of `parent` to `count`, keeping those that are there.
function children(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make(parent.children.length));
  return parent.children;
}

// Fills a table's body. A cell is a text, [text, class], [text, class, title], or a function that
// is given the cell. What is the same stays untouched, so that a selection survives.
function fill(id, rows, empty = "none") {
  const table = el(id), body = table.tBodies[0];
  const width = table.tHead.rows[0].cells.length;
  const shown = rows.length ? rows : [[[empty, "none"]]];
  const is = rows.length ? "rows" : "empty";
  if (body.dataset.is !== is) { body.replaceChildren(); body.dataset.is = is; }
  const trs = children(body, shown.length, () => made("tr"));
  shown.forEach((cells, at) => {
    const tr = trs[at];
    const tds = children(tr, cells.length,
      place => made(place === 0 && rows.length ? "th" : "td"));
    cells.forEach((cell, place) => {
      const td = tds[place];
      if (typeof cell === "function") { cell(td); return; }
      const [text, cls, title, flash] = Array.isArray(cell) ? cell : [cell, ""];
      put(td, text, Boolean(flash));
      if (td.className !== (cls || "")) td.className = cls || "";
      if (title && td.title !== title) td.title = title;
    });
    if (rows.length) { tds[0].scope = "row"; tds[0].removeAttribute("colspan"); }
    else tds[0].colSpan = width;
  });
}

// Pairs of term and value in a description list: [name, value, class, sub, title].
function pairs(id, list, flash = false) {
  const boxes = children(el(id), list.length, () => {
    const box = made("div");
    box.append(made("dt"), made("dd"));
    return box;
  });
  list.forEach(([name, value, cls, sub, title], at) => {
    const box = boxes[at];
    put(box.children[0], name);
    const dd = box.children[1];
    put(dd, value, flash);
    if (dd.className !== (cls || "")) dd.className = cls || "";
    if (title) dd.title = title;
    if (sub !== undefined) {
      if (!box.children[2]) box.append(made("dd", "sub"));
      put(box.children[2], sub);
      box.children[2].title = sub;
    }
    box.dataset.name = name;
  });
}

// A bar of how much of something is used. `share` is of the whole; `tone` is "", "warn" or "bad".
function bars(id, list) {
  const boxes = children(el(id), list.length, () => {
    const box = made("div", "bar");
    const line = made("div", "line");
    line.append(made("span"), made("span"));
    const track = made("div", "track");
    track.setAttribute("role", "meter");
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", "100");
    track.append(made("i"));
    line.lastChild.append(made("span", "mark"), made("span"));
    box.append(line, track);
    return box;
  });
  list.forEach(({ name, label, text, mark, share, tone, title }, at) => {
    const box = boxes[at], [line, track] = box.children;
    box.dataset.name = name;
    if (tone) box.dataset.tone = tone; else delete box.dataset.tone;
    put(line.children[0], label);
    put(line.children[1].children[0], mark ? mark + " " : "");
    put(line.children[1].children[1], text);
    const part = Math.max(0, Math.min(1, share || 0)) * 100;
    track.firstChild.style.width = part.toFixed(1) + "%";
    track.setAttribute("aria-valuenow", part.toFixed(0));
    track.setAttribute("aria-valuetext", (mark ? mark + " " : "") + text);
    track.setAttribute("aria-label", label);
    box.title = title || "";
  });
}

// Asks, draws, and tells how old everything is.

// Milliseconds between two looks at the state; the trader renews it four times a second.
const EVERY = 1000, EVERY_HIDDEN = 5000;
// An answer of this age in milliseconds is stale; after so long without one there is no contact.
const STALE = 3000, LOST = 6000;
// Lists, with the number of looks at the state between two of their own.
const LISTS = [["orders", 2, showOrders], ["fills", 2, showFills], ["latency", 2, showLatency],
  ["journal", 2, showJournal], ["alerts", 4, showAlerts], ["equity", 3, setEquity]];

const seen = { state: null, arrived: 0, age: 0, failed: "", rate: null, cpu: null, before: null };

// One answer, with the time its snapshot was taken: nanoseconds as text, too large for a number.
async function get(name) {
  const answer = await fetch("/api/v1/" + name,
    { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(4000) });
  if (!answer.ok) throw new Error(`${name} answers ${answer.status}`);
  const taken = answer.headers.get("x-peregrine-taken-ns") || "";
  const age = Number(answer.headers.get("x-peregrine-age-ms")) || 0;
  return { value: await answer.json(), taken, age };
}

// Marks which snapshot the panels of a source show.
function stamp(source, taken) {
  for (const panel of document.querySelectorAll(`[data-source="${source}"]`)) {
    panel.dataset.taken = taken;
    panel.dataset.at = Math.round(performance.now());
  }
}

function rates(s) {
  const before = seen.before, now = s.session.uptime_seconds;
  if (before && now > before.uptime) {
    const passed = now - before.uptime;
    seen.rate = (s.counters.events - before.events) / passed;
    seen.cpu = (s.resources.cpu_seconds - before.cpu) / passed * 100;
  }
  seen.before = { uptime: now, events: s.counters.events, cpu: s.resources.cpu_seconds };
}

function showState(s) {
  quoteName = quoteOf(s.positions[0] && s.positions[0].symbol) || "quote";
  for (const node of document.querySelectorAll("[data-unit=quote], .unit-quote")) {
    put(node, quote());
  }
  rates(s);
  showMarkets(s, seen.rate);
  showStrip(s);
  showFigures(s, seen.rate);
  showLimits(s);
  showPositions(s);
  showBreakers(s);
  showModels(s);
  showMachine(s, seen.cpu);
}

async function look(turn) {
  const { value, taken, age } = await get("state");
  showState(value);
  stamp("state", taken);
  Object.assign(seen, { state: value, arrived: performance.now(), age, failed: "" });
  showAge();
  // One request at a time: a page left open holds at most one of the server's few places.
  for (const [name, every, show] of LISTS) {
    if (turn % every) continue;
    const list = await get(name);
    show(list.value);
    stamp(name, list.taken);
  }
}

let turn = 0;
async function poll() {
  try {
    await look(turn);
    turn += 1;
  } catch (error) {
    seen.failed = String(error.message || error);
  }
  showAge();
  setTimeout(poll, document.hidden ? EVERY_HIDDEN : EVERY);
}

// How old the figures are; from where on they look old, and where contact is lost.
function showAge() {
  const now = performance.now();
  const age = seen.state ? seen.age + now - seen.arrived : now;
  const hidden = document.hidden ? EVERY_HIDDEN : 0;
  const lost = age > LOST + hidden, stale = age > STALE + hidden;
  const text = seen.state ? num(age / 1e3, 1) + " s old" : "no data yet";
  el("age").dataset.tone = lost ? "bad" : stale ? "warn" : seen.state ? "good" : "idle";
  put(el("age-text"), (lost ? "no contact, " : stale ? "stale, " : "live, ") + text);
  document.body.classList.toggle("stale", stale && !lost);
  document.body.classList.toggle("nocontact", lost);
  for (const panel of document.querySelectorAll("[data-at]")) {
    panel.classList.toggle("behind", now - Number(panel.dataset.at) > 3 * LOST);
  }
  const banner = el("lost");
  if (lost) {
    // The time is told once: a text that changes every second would be read out every second.
    if (banner.hidden) {
      const since = new Date(Date.now() - age).toISOString().slice(11, 19);
      put(banner, `■ No contact with the trader since ${since} UTC. Everything below is old` +
        (seen.failed ? ` (${seen.failed}).` : ": its observer stands still."));
      banner.hidden = false;
    }
    document.title = "■ NO CONTACT · Peregrine";
  } else if (!banner.hidden) {
    banner.hidden = true;
  }
}
setInterval(showAge, 250);
document.addEventListener("visibilitychange", showAge);

// Dark, light, or as the system has it. The choice alone is remembered.
const system = window.matchMedia("(prefers-color-scheme: light)");
const THEMES = ["auto", "dark", "light"];
let theme = "auto";
try { theme = localStorage.getItem("theme") || "auto"; } catch { /* not allowed: not remembered */ }

function dress() {
  if (!THEMES.includes(theme)) theme = "auto";
  const light = theme === "light" || theme === "auto" && system.matches;
  document.documentElement.dataset.theme = light ? "light" : "dark";
  put(el("theme"), "Theme: " + theme);
  buildCharts();
}
system.addEventListener("change", dress);
el("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try { localStorage.setItem("theme", theme); } catch { /* as above */ }
  dress();
});

dress();
poll();

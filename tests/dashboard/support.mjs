// A running demo, a browser that looks at its dashboard, and what the API answers meanwhile.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
// Looks before a test gives up: what is waited for takes seconds, on a busy machine minutes.
const LOOKS_MAX = 3000;
// What a demo on a slow or busy machine trips over that these tests are not about.
const PATIENT = {
  PEREGRINE__MODEL__BUDGET_US: "1000000",
  PEREGRINE__BREAKERS__TICK_TO_GATE_US: "10000000",
  PEREGRINE__BREAKERS__SEND_TO_ACK_MS: "600000",
  PEREGRINE__BREAKERS__CORE_STALL_MS: "600000",
  PEREGRINE__KILL__STALL_MS: "0",
};
export const PARTS = ["state", "orders", "fills", "equity", "latency", "alerts", "journal"];

export const pause = ms => new Promise(done => setTimeout(done, ms));

// Looks until `at` gives something that is neither undefined, null nor false.
export async function until(what, at) {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const found = await at();
    if (found !== undefined && found !== null && found !== false) return found;
    await pause(40);
  }
  assert.fail(`${what}: not within ${LOOKS_MAX} looks`);
}

async function freePort() {
  const server = createServer();
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise(done => server.close(done));
  return port;
}

// One demo in a state folder of its own.
export class Demo {
  static async start(length = "10m") {
    const demo = new Demo();
    demo.token = randomBytes(32).toString("hex");
    demo.state = await mkdtemp(join(tmpdir(), "peregrine-dashboard-"));
    const port = await freePort();
    demo.url = `http://127.0.0.1:${port}`;
    demo.binary = process.env.PEREGRINE_BINARY;
    const variables = { ...process.env, ...PATIENT,
      PEREGRINE__HTTP__BIND: `127.0.0.1:${port}`, PEREGRINE__HTTP__OPTIONAL: "false",
      PEREGRINE__SESSION__STATE_DIR: demo.state, PEREGRINE_HTTP_TOKEN: demo.token };
    demo.child = spawn(demo.binary, ["demo", "--for", length, "--json"],
      { cwd: process.env.PEREGRINE_ROOT, env: variables, stdio: ["ignore", "pipe", "pipe"] });
    demo.words = "";
    for (const pipe of [demo.child.stdout, demo.child.stderr]) {
      pipe.on("data", data => { demo.words = (demo.words + data).slice(-100_000); });
    }
    demo.ended = new Promise(done => demo.child.on("exit", code => {
      demo.code = code ?? "signal";
      done(demo.code);
    }));
    await until("the demo trades", async () => {
      assert.equal(demo.code, undefined, `the demo ended: ${demo.words}`);
      const state = await demo.ask("state").catch(() => null);
      return state && state.value.trading_state === "active" && state.value.counters.fills > 3;
    });
    return demo;
  }

  // One part of the API with the time its snapshot was taken.
  async ask(part) {
    const answer = await fetch(`${this.url}/api/v1/${part}`);
    assert.equal(answer.status, 200, part);
    return { value: await answer.json(), taken: answer.headers.get("x-peregrine-taken-ns") };
  }

  // Records of the journal as the dump tells them.
  async dump(...more) {
    const [name] = await readdir(join(this.state, "journal"));
    const dir = join(this.state, "journal", name);
    const { stdout } = await run(this.binary, ["journal", "dump", dir, ...more],
      { maxBuffer: 1 << 30, cwd: process.env.PEREGRINE_ROOT });
    return stdout.trim().split("\n").filter(Boolean).map(line => JSON.parse(line));
  }

  async stop() {
    if (this.code === undefined) this.child.kill("SIGTERM");
    await this.ended;
    await rm(this.state, { recursive: true, force: true });
  }
}

// Keeps what the API answered, by the time of its snapshot.
export class Memory {
  constructor(demo) {
    this.demo = demo;
    this.parts = new Map(PARTS.map(part => [part, new Map()]));
    this.running = true;
    this.done = this.follow();
  }

  async follow() {
    while (this.running) {
      for (const part of PARTS) {
        const { value, taken } = await this.demo.ask(part);
        const known = this.parts.get(part);
        known.set(taken, value);
        if (known.size > 200) known.delete(known.keys().next().value);
      }
      await pause(10);
    }
  }

  at(part, taken) {
    return this.parts.get(part).get(taken);
  }

  async stop() {
    this.running = false;
    await this.done;
  }
}

let browser;
export async function openBrowser() {
  browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  return browser;
}
export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

// The dashboard in a tab of its own. `faults` gathers what must not be: errors on the console, and
// requests to anywhere else.
export async function openPage(demo, options = {}) {
  const context = await (await openBrowser()).newContext({ colorScheme: "dark",
    viewport: { width: 1600, height: 1000 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", message => {
    if (["error", "warning"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", error => faults.push(String(error.stack || error)));
  page.on("request", request => {
    if (!request.url().startsWith(demo.url + "/")) faults.push("asks for " + request.url());
  });
  page.on("websocket", socket => faults.push("opens " + socket.url()));
  await page.goto(demo.url + "/");
  await until("every panel has been drawn", () => page.evaluate(() =>
    [...document.querySelectorAll("[data-source]")].every(panel => panel.dataset.taken)));
  return { page, context, faults };
}

// Everything the page shows, read in one instant: by panel the time of its snapshot, tables, pairs,
// bars and lists.
export const readPage = page => page.evaluate(() => {
  const text = node => node.textContent.trim();
  const panels = {};
  for (const panel of document.querySelectorAll("[data-panel]")) {
    const told = { taken: panel.dataset.taken, source: panel.dataset.source, tables: {}, pairs: {},
      bars: {}, lists: {}, notes: {}, cards: {} };
    for (const table of panel.querySelectorAll("table")) {
      told.tables[table.id] = [...table.tBodies[0].rows].filter(row => !row.querySelector(".none"))
        .map(row => [...row.cells].map(text));
      told.tables[table.id + " titles"] = [...table.tBodies[0].rows]
        .map(row => [...row.cells].map(cell => cell.title));
      told.tables[table.id + " head"] = [...table.tHead.rows[0].cells].map(text);
    }
    for (const box of panel.querySelectorAll("dl > div")) {
      told.pairs[box.dataset.name] = [...box.querySelectorAll("dd")].map(text);
    }
    for (const bar of panel.querySelectorAll(".bar")) {
      told.bars[bar.dataset.name] = { text: text(bar.querySelector(".line").lastChild),
        width: parseFloat(bar.querySelector(".track > i").style.width),
        now: Number(bar.querySelector(".track").getAttribute("aria-valuenow")),
        tone: bar.dataset.tone || "" };
    }
    for (const card of panel.querySelectorAll(".cards > li")) {
      told.cards[card.dataset.name] = [...card.children].map(text);
    }
    for (const list of panel.querySelectorAll("ol")) {
      told.lists[list.id] = [...list.children].map(item =>
        ({ key: item.dataset.key, parts: [...item.children].map(text), text: text(item) }));
    }
    for (const note of panel.querySelectorAll(".note[id], .readout")) {
      told.notes[note.id] = { text: text(note), ...note.dataset };
    }
    panels[panel.dataset.panel] = told;
  }
  return { panels, strip: { state: text(document.getElementById("state")),
    ready: text(document.getElementById("ready")), mode: text(document.getElementById("mode")),
    age: text(document.getElementById("age-text")) } };
});

const UNITS = { ns: 1, "µs": 1e3, ms: 1e6, s: 1e9 };

// The number a text shows, and half a step of its last digit.
export function parse(text) {
  const found = /[−+-]?[\d,]+(\.(\d+))?/.exec(text);
  assert.ok(found, `no number in “${text}”`);
  const value = Number(found[0].replaceAll(",", "").replace("−", "-"));
  return { value, half: 0.5 * 10 ** -(found[2] || "").length, rest: text.slice(found.index +
    found[0].length).trim() };
}

// A text shows a value: it is that value, rounded to the digits that are there. Nothing is a dash.
export function shows(text, value, what, scale = 1) {
  if (value === null || value === undefined) {
    assert.equal(text, "–", what);
    return;
  }
  const shown = parse(text), real = value * scale;
  assert.ok(Math.abs(shown.value - real) <= shown.half * 1.000001 + Math.abs(real) * 1e-12,
    `${what}: “${text}” is not ${real}`);
}

export function showsTime(text, ns, what) {
  if (ns === undefined || ns === null) {
    assert.equal(text, "–", what);
    return;
  }
  const shown = parse(text), unit = UNITS[shown.rest];
  assert.ok(unit, `${what}: no unit in “${text}”`);
  assert.ok(Math.abs(shown.value * unit - ns) <= shown.half * unit * 1.000001,
    `${what}: “${text}” is not ${ns} ns`);
}

// Pause and kill by keyboard, refusals, and what a page looks like whose trader is gone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeBrowser, Demo, openPage, until } from "./support.mjs";

let demo, page, faults, posts = [];
before(async () => {
  demo = await Demo.start();
  ({ page, faults } = await openPage(demo));
  page.on("request", request => {
    if (request.method() === "POST") posts.push(request);
  });
});
after(async () => {
  await closeBrowser();
  await demo?.stop();
});

const focused = () => page.evaluate(() => document.activeElement.id);
const press = key => page.keyboard.press(key);
const open = () => page.evaluate(() => document.getElementById("desk").open);
const error = () => page.textContent("#desk-error");
const state = () => page.getAttribute("#state", "data-value");

// Goes on with the tabulator until the focus is there.
async function tabTo(id) {
  for (let step = 0; step < 60; step++) {
    if (await focused() === id) return;
    await press("Tab");
  }
  assert.fail(`${id} is not reached by keyboard`);
}

// Fills the dialog in and sends it, by keyboard alone.
async function give(button, reason, token, { mode } = {}) {
  if (!await open()) {
    await tabTo(button);
    await press("Enter");
  }
  assert.ok(await open(), "the dialog opens");
  await tabTo("desk-reason");
  await press("Control+A");
  await page.keyboard.type(reason);
  await tabTo("desk-token");
  await page.keyboard.type(token);
  if (mode === "immediate") {
    await page.focus("input[value=graceful]");
    await press("ArrowDown");
  }
  await tabTo("desk-sure");
  await press("Space");
  await tabTo("desk-send");
  await press("Enter");
}

test("a dialog takes the focus, is left with Escape, and gives the focus back", async () => {
  await tabTo("pause");
  await press("Enter");
  assert.equal(await focused(), "desk-reason");
  for (let step = 0; step < 12; step++) {
    await press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body ||
      document.getElementById("desk").contains(document.activeElement)), "the focus stays inside");
  }
  await press("Escape");
  assert.ok(!await open());
  assert.equal(await focused(), "pause");
});

test("nothing is sent without a reason, a token and the confirmation", async () => {
  for (const [reason, token, sure, told] of [["", "x", true, "reason"], ["drill", "", true, "token"],
    ["drill", "x", false, "confirm"]]) {
    await page.click("#kill");
    await page.fill("#desk-reason", reason);
    await page.fill("#desk-token", token);
    if (sure) await page.check("#desk-sure");
    await page.click("#desk-send");
    assert.match(await error(), new RegExp(told));
    assert.ok(await open());
    await press("Escape");
  }
  assert.equal(posts.length, 0);
});

test("a wrong token is refused, changes nothing, and is not kept", async () => {
  for (const verb of ["pause", "kill"]) {
    await give(verb, "drill", "0".repeat(64));
    await until("the refusal is shown", async () => (await error()).startsWith("Refused (401)"));
    assert.ok(await open(), "the dialog stays");
    assert.equal(await page.inputValue("#desk-token"), "");
    await press("Escape");
  }
  const bare = await page.evaluate(() => fetch("/api/v1/kill", { method: "POST",
    headers: { "content-type": "application/json", "x-peregrine-request": "1" },
    body: JSON.stringify({ reason: "no token" }) }).then(answer => answer.status));
  assert.equal(bare, 401);
  // That they stand in no journal either is seen at the end.
  await until("trading goes on", async () => await state() === "active");
});

test("pause works by keyboard, and the page shows it", async () => {
  await until("trading is on", async () => await state() === "active");
  await give("pause", "drill: a pause", demo.token);
  await until("the dialog closes", async () => !await open());
  assert.match(await page.textContent("#told"), /taken at .*drill: a pause/);
  await until("the page shows the state", async () => await state() === "reducing");
  const { value } = await demo.ask("state");
  assert.equal(value.trading_state, "reducing");
});

test("the token is in the memory of the page alone, and there no longer than it takes", async () => {
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage },
    document.cookie, document.documentElement.outerHTML,
    [...document.querySelectorAll("input")].map(input => input.value)]));
  assert.ok(!kept.includes(demo.token));
  assert.ok(!posts.some(request => request.url().includes(demo.token)));
  assert.equal((await page.context().cookies()).length, 0);
});

test("kill works by keyboard, the session ends killed, and the page says that nobody is there", {},
  async () => {
    await give("kill", "drill: a kill", demo.token);
    await until("the dialog closes", async () => !await open());
    assert.equal(JSON.parse(posts.at(-1).postData()).mode, "graceful");
    assert.equal(await demo.ended, 78, "the exit code of a kill");
    await page.waitForSelector("#lost:not([hidden])", { timeout: 0 });
    assert.match(await page.textContent("#lost"), /No contact with the trader since/);
    assert.match(await page.textContent("#age-text"), /^no contact, /);
    assert.match(await page.title(), /NO CONTACT/);
    assert.ok(await page.evaluate(() => document.body.classList.contains("nocontact")));
  });

test("both commands stand in the journal, with their reasons and where they came from", async () => {
  const commands = await demo.dump("--kind", "Command");
  const told = commands.map(command => [command.verb, command.origin, command.command_reason]);
  const given = told.filter(([, origin]) => origin === "http");
  assert.deepEqual(given.map(([, , reason]) => reason), ["drill: a pause", "drill: a kill"],
    JSON.stringify(told));
});

test("but for what was refused, and nobody being there, nothing is on the console", () => {
  const other = faults.filter(text => !/status of 401|ERR_CONNECTION|ERR_EMPTY_RESPONSE/.test(text));
  assert.deepEqual(other, []);
});

// The page for everybody: axe, both colour schemes, a phone, reduced motion, old figures, and what
// the page is allowed to do. The journal's tail is held against the dump at the end.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { closeBrowser, Demo, openPage, until } from "./support.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true,
  deviceScaleFactor: 2 };

let demo;
before(async () => { demo = await Demo.start(); });
after(async () => {
  await closeBrowser();
  await demo?.stop();
});

// What axe finds serious or critical, in words.
async function grave(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" ").slice(0, 400)}`);
}

async function withPage(options, what) {
  const { page, context, faults } = await openPage(demo, options);
  try {
    await what(page, faults);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

for (const colorScheme of ["dark", "light"]) {
  for (const [size, options] of [["desk", {}], ["phone", PHONE]]) {
    test(`axe finds nothing grave: ${colorScheme}, ${size}`, () =>
      withPage({ colorScheme, ...options }, async page => {
        assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
        assert.deepEqual(await grave(page), []);
        await page.click("summary");
        await page.click("#kill");
        assert.deepEqual(await grave(page), [], "with the dialog open");
      }));
  }
}

test("a phone scrolls down and never sideways", () => withPage(PHONE, async page => {
  const [width, shown] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.equal(width, shown);
  await page.click("#kill");
  const box = await page.evaluate(() => document.getElementById("desk").getBoundingClientRect());
  assert.ok(box.left >= 0 && box.right <= 390, JSON.stringify(box));
  for (const id of ["pause", "kill", "theme"]) {
    const { height } = await page.evaluate(at =>
      document.getElementById(at).getBoundingClientRect().toJSON(), id);
    assert.ok(height >= 40, `${id} is ${height} high: too small for a thumb`);
  }
}));

test("every control is reached by keyboard and shows that it is", () => withPage({}, async page => {
  const all = await page.evaluate(() => [...document.querySelectorAll(
    "button, a[href], summary, [tabindex='0']")].filter(node => node.offsetParent &&
      !node.closest("dialog") && !node.closest("details:not([open]) > :not(summary)")).length);
  const reached = new Set();
  for (let step = 0; step < all + 10; step++) {
    await page.keyboard.press("Tab");
    const [name, outline] = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === document.body) return [null, ""];
      at.dataset.reached ??= String(Math.random());
      return [at.dataset.reached, getComputedStyle(at).outlineStyle];
    });
    if (!name) continue;
    assert.equal(outline, "solid", "the focus is seen");
    reached.add(name);
  }
  assert.equal(reached.size, all);
}));

test("the switch changes the scheme and is remembered, and nothing else is", () =>
  withPage({ colorScheme: "dark" }, async page => {
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    await page.click("#theme");
    await page.click("#theme");
    assert.equal(await theme(), "light");
    await page.reload();
    assert.equal(await theme(), "light");
    assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), { theme: "light" });
    await page.click("#theme");
    assert.equal(await theme(), "dark", "as the system has it");
    await page.emulateMedia({ colorScheme: "light" });
    await until("the page has what the system has", async () => await theme() === "light");
  }));

test("with reduced motion nothing moves", () =>
  withPage({ reducedMotion: "reduce" }, async page => {
    const taken = () => page.getAttribute("[data-panel=figures]", "data-taken");
    const first = await taken();
    await until("the page is drawn again", async () => await taken() !== first);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  }));

test("figures that nobody renews look old, and live again when they are", async () => {
  const { page, context } = await openPage(demo);
  await page.route("**/api/v1/**", route => route.abort());
  const seen = [];
  await until("contact is lost", async () => {
    const age = await page.textContent("#age-text");
    seen.push(age.split(",")[0]);
    return age.startsWith("no contact");
  });
  assert.deepEqual([...new Set(seen)], ["live", "stale", "no contact"]);
  assert.ok(await page.isVisible("#lost"));
  assert.deepEqual(await grave(page), []);
  await page.unroute("**/api/v1/**");
  await until("it lives", async () => (await page.textContent("#age-text")).startsWith("live"));
  assert.ok(!await page.isVisible("#lost"));
  await context.close();
});

test("an observer that stands still is told from the age of its snapshot, not of the answer", async () => {
  const { page, context } = await openPage(demo);
  await page.route("**/api/v1/**", async route => {
    const answer = await route.fetch();
    const headers = { ...answer.headers(), "x-peregrine-age-ms": "61000" };
    await route.fulfill({ response: answer, headers });
  });
  await until("the age is shown", async () =>
    /^no contact, 6[1-9]\.\d s old$/.test(await page.textContent("#age-text")));
  await context.close();
});

test("what is put into the page does not run", () => withPage({}, async (page, faults) => {
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='window.ran = true'>");
    document.body.insertAdjacentHTML("beforeend", "<style>body { color: red }</style>");
  });
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).color), "rgb(255, 0, 0)");
  await until("the browser says so", () => faults.length >= 3);
  faults.splice(0).forEach(fault => assert.match(fault, /Content Security Policy|content security/i));
}));

test("the journal's tail is word for word what the journal's dump says", async () => {
  const { value: tail } = await demo.ask("journal");
  assert.ok(tail.length > 50, "records");
  const dump = new Map((await demo.dump()).map(record => [`${record.lane}/${record.record}`, record]));
  for (const record of tail) {
    assert.deepEqual(record, dump.get(`${record.lane}/${record.record}`));
  }
  const places = tail.map(record => [record.seq, record.lane, record.record]);
  const sorted = [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  assert.deepEqual(places, sorted, "in the river's order");
});

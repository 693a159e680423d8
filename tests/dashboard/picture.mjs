// Pictures of a running demo for the README: `tests/dashboard/run --pictures`.

import { closeBrowser, Demo, openPage, until } from "./support.mjs";

const folder = process.argv[2];
const demo = await Demo.start("15m");
// What is shown is worth a picture: it trades, it is fresh, and it holds something.
const worth = page => page.evaluate(() => document.getElementById("state").dataset.value === "active"
  && document.getElementById("age-text").textContent.startsWith("live, 0")
  && !document.body.textContent.includes("flat, USDT"));
try {
  const { page } = await openPage(demo, { viewport: { width: 1600, height: 2400 } });
  // Until there is enough to see: ratios need two minutes.
  await until("the ratios are there", () => page.evaluate(() =>
    !document.getElementById("figures-more").textContent.includes("too early")));
  await until("the page is worth a picture", () => worth(page));
  const height = await page.evaluate(() => Math.ceil(
    document.querySelector("[data-panel=latency]").getBoundingClientRect().bottom + scrollY) + 12);
  await page.screenshot({ path: `${folder}/dashboard.png`,
    clip: { x: 0, y: 0, width: 1600, height } });
  const phone = await openPage(demo, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2,
    isMobile: true, hasTouch: true });
  await until("the phone is worth a picture", () => worth(phone.page));
  await phone.page.screenshot({ path: `${folder}/dashboard-phone.png` });
} finally {
  await closeBrowser();
  await demo.stop();
}

// Pictures of a running demo for the README: `tests/dashboard/run --pictures`.

import { closeBrowser, Demo, openPage, until } from "./support.mjs";

const folder = process.argv[2];
const demo = await Demo.start("15m");
try {
  const { page } = await openPage(demo);
  // Until there is enough to see: ratios need two minutes.
  await until("the ratios are there", async () =>
    (await demo.ask("state")).value.performance.sortino !== null);
  await page.setViewportSize({ width: 1600, height: 1560 });
  const taken = () => page.getAttribute("[data-panel=equity]", "data-taken");
  const first = await taken();
  await until("the page is drawn again", async () => await taken() !== first);
  await page.screenshot({ path: `${folder}/dashboard.png` });
  const phone = await openPage(demo, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2,
    isMobile: true, hasTouch: true });
  await until("the newest figures", () => phone.page.textContent("#figures dd"));
  await phone.page.screenshot({ path: `${folder}/dashboard-phone.png` });
} finally {
  await closeBrowser();
  await demo.stop();
}

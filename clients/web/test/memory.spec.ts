// What a long take costs: the memory of the page's process while all of it is loaded and plays.

import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { expect, it } from "vitest";

import { en } from "../src/messages/en";
import { jobs } from "./support/api";
import { addressOf, settled } from "./support/pages";
import { stack } from "./support/stack";
import { inTab } from "./support/tab";

const MAX_BYTES = 400e6;
const LONG_SECONDS = 180;

/** Proportional memory of all processes that show pages, without what their garbage collection frees. */
async function memoryBytes(context: BrowserContext, page: Page): Promise<number> {
  await page.requestGC();
  const browser = context.browser() as Browser;
  const session: CDPSession = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1])
    .reduce((sum, kilobytes) => sum + Number(kilobytes) * 1024, 0);
}

it("holds five files of 180 s in less than 400 MB", async () => {
  const { jobs: found } = await jobs.listJobs({ pageSize: 100 });
  const take = found.find(({ brief, versions }) => brief?.seconds === LONG_SECONDS && versions[0]?.files?.zip);
  expect(take, "a take of 180 s with stems").toBeDefined();
  await inTab({ at: "#/library" }, async (page, context) => {
    await settled(page, "library");
    const before = await memoryBytes(context, page);
    await page.goto(`${stack.url}/${addressOf("take", take?.jobId ?? "")}`);
    await settled(page, "take");
    // Stems are loaded once one of them is wanted.
    await page.getByRole("button", { name: en.player.solo(en.player.lane.vocals), exact: true }).click();
    const missing = page.getByText(
      new RegExp(`^(${en.player.waiting}|${en.player.loading(7).replace("7", "\\\\d+")})$`),
    );
    await expect.poll(() => missing.count()).toBe(0);
    await page.getByRole("button", { name: en.player.play, exact: true }).click();
    const slider = page.getByRole("slider", { name: en.player.position });
    await expect.poll(async () => Number(await slider.getAttribute("aria-valuenow"))).toBeGreaterThan(1);
    // What the network has delivered is garbage soon after, and freed step by step.
    let grown = 0;
    const measure = async () => {
      grown = (await memoryBytes(context, page)) - before;
      return grown;
    };
    await expect.poll(measure, { interval: 2000 }).toBeLessThan(MAX_BYTES);
    console.log(`five files of 180 s: ${(grown / 1e6).toFixed(0)} MB`);
    expect(grown).toBeGreaterThan(5 * LONG_SECONDS * 44_100 * 2 * 4 * 0.9); // all five are decoded
  });
});

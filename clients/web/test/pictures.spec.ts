// Pictures of every page, for the documentation and to look at: scripts/web_pictures.py runs this against the starter models.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { en } from "../src/messages/en";
import { jobs } from "./support/api";
import { choosePersona } from "./support/compose";
import { addressOf, PAGES, settled } from "./support/pages";
import { stack } from "./support/stack";
import { inTab } from "./support/tab";

const PROMPT = "slow, dusty boom bap with a warm bass and a mellow piano, melancholic, in C minor";
const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
] as const;

async function writeBrief(page: Page): Promise<void> {
  await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill(PROMPT);
  await choosePersona(page, stack.personas[0]);
  await page.getByText(en.brief.axes.from("slow"), { exact: false }).first().waitFor();
  await page.evaluate(() => scrollTo(0, 0));
}

it.each(LOOKS)("writes the pages, $name", async ({ name, ...look }) => {
  const { jobs: found } = await jobs.listJobs({ pageSize: 100 });
  const take = found.find(({ versions }) => versions.length > 1);
  expect(take, "a take with two versions").toBeDefined();
  mkdirSync(stack.out, { recursive: true });
  for (const page of PAGES) {
    await inTab({ at: addressOf(page, take?.jobId ?? ""), ...look }, async (tab) => {
      await settled(tab, page);
      if (page === "compose") await writeBrief(tab);
      await tab.screenshot({ path: join(stack.out, `${page}-${name}.png`), fullPage: true });
    });
  }
});

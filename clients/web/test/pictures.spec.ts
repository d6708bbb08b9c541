// Pictures of every page, for the documentation and to look at: scripts/web_pictures.py runs this against the starter models.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

import { jobs } from "./support/api";
import { addressOf, PAGES, settled } from "./support/pages";
import { stack } from "./support/stack";
import { inTab } from "./support/tab";

const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
] as const;

it.each(LOOKS)("writes the pages, $name", async ({ name, ...look }) => {
  const { jobs: found } = await jobs.listJobs({ pageSize: 100 });
  const take = found.find(({ versions }) => versions.length > 1);
  expect(take, "a take with two versions").toBeDefined();
  mkdirSync(stack.out, { recursive: true });
  for (const page of PAGES) {
    await inTab({ at: addressOf(page, take?.jobId ?? ""), ...look }, async (tab) => {
      await settled(tab, page);
      await tab.screenshot({ path: join(stack.out, `${page}-${name}.png`), fullPage: true });
    });
  }
});

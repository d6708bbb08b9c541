// The pages by name, and when each of them shows all that it has to show.

import type { Page } from "playwright-core";

import { en } from "../../src/messages/en";

export const PAGES = ["compose", "library", "take"] as const;
export type PageName = (typeof PAGES)[number];

/** The address of a page; that of a take for `takeId`. */
export function addressOf(name: PageName, takeId: string): string {
  return { compose: "#/", library: "#/library", take: `#/takes/${takeId}` }[name];
}

/** Waits until a page has what it loads: the personas, the jobs, or every stem of a take. */
export async function settled(page: Page, name: PageName): Promise<void> {
  const last = {
    compose: page.locator('input[name="persona"]').last(),
    library: page.getByRole("main").locator('a[href^="#/takes/"]').last(),
    take: page.getByRole("button", { name: en.player.solo(en.player.lane.other), exact: true }),
  };
  await last[name].waitFor();
}

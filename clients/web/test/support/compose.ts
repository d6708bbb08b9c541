// The form of the brief as a user fills it in.

import type { Locator, Page } from "playwright-core";

import { en } from "../../src/messages/en";
import { stack } from "./stack";

interface TypedBrief {
  readonly prompt: string;
  readonly seconds: number;
  readonly stems: boolean;
}

const MAX_TABS = 200;

/** The radio button of a persona. */
export function personaRadio(page: Page, id: string): Locator {
  return page.locator(`input[type="radio"][value="${id}"]`);
}

/** Clicks on the card of a persona. */
export async function choosePersona(page: Page, id: string): Promise<void> {
  await page.locator(`label[for="persona-${id}"]`).click();
}

/** Fills in the form and submits it; gives the id of the new job, whose page is shown then. */
export async function submitBrief(page: Page, { prompt, seconds, stems }: TypedBrief): Promise<string> {
  await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill(prompt);
  await choosePersona(page, stack.personas[0]);
  await page.getByRole("textbox", { name: en.brief.seconds }).fill(String(seconds));
  await page.getByRole("checkbox", { name: en.brief.stems }).setChecked(stems, { force: true });
  await page.getByRole("button", { name: en.brief.render, exact: true }).click();
  return jobIdOf(page);
}

/** The job whose page is shown, or will be. */
export async function jobIdOf(page: Page): Promise<string> {
  await page.waitForURL(/#\/takes\/j-/);
  return new URL(page.url()).hash.replace("#/takes/", "");
}

/** Presses Tab until `target` has the focus, as somebody without a pointer does. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let tabs = 0; tabs < MAX_TABS; tabs += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${target} is not among the first ${MAX_TABS} stops of the Tab key`);
}

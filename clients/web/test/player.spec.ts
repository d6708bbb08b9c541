// The player of a take: its keys, its loop, and a file server that does not answer.

import type { Page } from "playwright-core";
import { beforeAll, expect, it } from "vitest";

import { en } from "../src/messages/en";
import { makeTake } from "./support/api";
import { addressOf, settled } from "./support/pages";
import { inTab } from "./support/tab";

const texts = en.player;
let at = "";

beforeAll(async () => {
  at = addressOf("take", (await makeTake("fast drums, bass, a voice", true)).jobId);
});

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const slider = (page: Page) => page.getByRole("slider", { name: texts.position });
const pressed = async (page: Page, name: string) => (await button(page, name).getAttribute("aria-pressed")) === "true";

async function position(page: Page): Promise<number> {
  return Number(await slider(page).getAttribute("aria-valuenow"));
}

async function ready(page: Page): Promise<void> {
  await settled(page, "take");
  await expect.poll(() => button(page, texts.play).isEnabled()).toBe(true);
}

it("is played by keys, which are letters where somebody types", () =>
  inTab({ at }, async (page) => {
    await ready(page);
    await page.keyboard.press("l");
    const bar = await position(page);
    expect(bar).toBeGreaterThan(0);
    await page.keyboard.press("k");
    await expect.poll(() => position(page)).toBe(0);
    await page.keyboard.press("Space");
    await button(page, texts.pause).waitFor();
    await page.keyboard.press("Space");
    await button(page, texts.play).waitFor();
    await page.keyboard.press("2");
    expect(await pressed(page, texts.solo(texts.lane.bass))).toBe(true);
    expect(await pressed(page, texts.stems)).toBe(true);
    await page.keyboard.press("5");
    expect(await pressed(page, texts.bounce)).toBe(true);
    await page.keyboard.press("c");
    expect(await pressed(page, texts.click)).toBe(true);
    await button(page, texts.mute(texts.lane.drums)).focus();
    await page.keyboard.press("m");
    expect(await pressed(page, texts.mute(texts.lane.drums))).toBe(true);

    // A button that was clicked with the mouse does not take the space bar from the player.
    await button(page, texts.click).click();
    await page.keyboard.press("Space");
    await button(page, texts.pause).waitFor();
    await page.keyboard.press("Space");
    await button(page, texts.play).waitFor();
    expect(await pressed(page, texts.click)).toBe(false);
    await page.keyboard.press("c");

    await button(page, texts.loop).click();
    const field = page.getByLabel(texts.loopToBar);
    await field.fill("1");
    await page.keyboard.press("c");
    await page.keyboard.press("3");
    expect(await pressed(page, texts.click)).toBe(true);
    expect(await pressed(page, texts.solo(texts.lane.vocals))).toBe(false);

    await slider(page).focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: texts.shortcuts }).waitFor();
  }));

it("repeats the bars over which somebody drags on the ruler", () =>
  inTab({ at }, async (page) => {
    await ready(page);
    const box = await slider(page).boundingBox();
    if (box === null) throw new Error("the ruler must be visible");
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + 5, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 5, y, { steps: 4 });
    await page.mouse.up();
    expect(await pressed(page, texts.loop)).toBe(true);
    expect(await page.getByLabel(texts.loopFromBar).inputValue()).toBe("1");
    const last = await page.getByLabel(texts.loopToBar).inputValue();
    await slider(page).press("End");
    await expect.poll(() => slider(page).getAttribute("aria-valuetext")).toMatch(new RegExp(`^Bar ${last}, `));
  }));

it("says that a file could not be loaded, and loads it again on request", () =>
  inTab({ at: "#/library", breaksConnection: true }, async (page) => {
    const files = /\/jobs\/.*bounce\.wav/;
    await page.route(files, (route) => route.abort());
    await page.goto(`${new URL(page.url()).origin}/${at}`);
    await page.getByText(texts.failed).waitFor();
    expect(await button(page, texts.play).isEnabled()).toBe(false);
    await page.unroute(files);
    await button(page, texts.retry).click();
    await ready(page);
  }));

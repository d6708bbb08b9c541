// Every page for everyone: both colour schemes, a phone, a keyboard, less motion, a screen reader; and how soon it is there.

import type { BrowserContext } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";

import { makeTake } from "./support/api";
import { violationsOf } from "./support/axe";
import { addressOf, PAGES, settled } from "./support/pages";
import { inTab } from "./support/tab";

const FIRST_PAINT_MS = 1000;
const LOADS = 5;
const PHONE_PX = 390;

let takeId = "";

beforeAll(async () => {
  const take = await makeTake(
    "warm pads over a slow beat, melancholic, a prompt that needs more than one line on a phone",
    true,
  );
  takeId = take.jobId;
});

describe.each(PAGES)("%s", (name) => {
  it("has no violation that axe finds, light and dark", () =>
    inTab({ at: addressOf(name, takeId) }, async (page) => {
      await settled(page, name);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await violationsOf(page), colorScheme).toEqual([]);
      }
    }));

  it("needs no horizontal scrolling on a phone, or when it is enlarged", () =>
    inTab({ at: addressOf(name, takeId), viewport: { width: PHONE_PX, height: 800 } }, async (page) => {
      await settled(page, name);
      for (const width of [PHONE_PX, 640, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        const widest = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(widest, `at ${width} px`).toBe(width);
      }
    }));

  it("does not move where less motion is asked for, and plays nothing by itself", () =>
    inTab({ at: addressOf(name, takeId), reducedMotion: "reduce", prepare: recordingSounds }, async (page) => {
      await settled(page, name);
      const moving = await page.evaluate(() =>
        document
          .getAnimations()
          .filter((one) => one.playState === "running" && Number(one.effect?.getTiming().duration) > 1),
      );
      expect(moving).toEqual([]);
      expect(await page.evaluate(() => window.sounds)).toEqual([]);
    }));
});

declare global {
  interface Window {
    /** What has been started. */
    sounds: string[];
  }
}

async function recordingSounds(context: BrowserContext): Promise<void> {
  await context.addInitScript(recordSounds);
}

/** Runs in the page before its scripts. */
function recordSounds(): void {
  window.sounds = [];
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function (...given) {
    window.sounds.push("AudioBufferSourceNode");
    return start.apply(this, given);
  };
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    window.sounds.push(this.tagName);
    return play.apply(this);
  };
}

// A limit of time that the product sets. The best of several loads tells what the page takes, and not what else the machine does.
it("is painted within a second", () =>
  inTab({}, async (page) => {
    const paintsMs: number[] = [];
    for (let load = 0; load < LOADS; load += 1) {
      await page.reload();
      const painted = await page.waitForFunction(
        () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
      );
      paintsMs.push(Number(await painted.jsonValue()));
    }
    expect(Math.min(...paintsMs)).toBeLessThan(FIRST_PAINT_MS);
  }));

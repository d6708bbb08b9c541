// The player's audio in Debian's Chromium: its modules, without the page and the services.

import { readFileSync } from "node:fs";

import { type Browser, chromium, type Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type * as checks from "./browser/player_checks";

const GUARD = new URL("../../../hostctl/web/guard.py", import.meta.url);
/** Sums of float32 values that are exact in 24 bits. */
const ROUNDING = 1e-6;

describe("the player's audio", () => {
  let server: ViteDevServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    // Packages are served as they are: a server that finds some to prepare reloads its pages.
    server = await createServer({
      server: { port: 0, strictPort: false },
      optimizeDeps: { noDiscovery: true, include: [] },
      logLevel: "error",
    });
    await server.listen();
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
    });
    page = await browser.newPage();
    await page.route("**/checks", (route) =>
      route.fulfill({ contentType: "text/html", body: "<!doctype html><title>checks</title>" }),
    );
    await page.goto(`${server.resolvedUrls?.local[0]}checks`);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  function run<Name extends keyof typeof checks>(name: Name): Promise<Awaited<ReturnType<(typeof checks)[Name]>>> {
    return page.evaluate(`import("/test/browser/player_checks.ts").then((module) => module.${name}())`);
  }

  test("stems that start together add up to the bounce, sample by sample", async () => {
    expect(await run("stemsAddUpToTheBounce")).toBeLessThan(ROUNDING);
  });

  test("stems that are loaded later join in step", async () => {
    expect(await run("lateStemsJoinInStep")).toBeLessThan(ROUNDING);
  });

  test("a loop has no seam", async () => {
    expect(await run("loopHasNoSeam")).toBeLessThan(ROUNDING);
  });

  test("a loop can be set and taken away while it plays", async () => {
    expect(await run("loopChangesWithoutABreak")).toBeLessThan(ROUNDING);
  });

  test("another version takes over at the same position, at its own gain, without a gap", async () => {
    const { before, after, quietest } = await run("versionsSwitchInPlace");
    expect(before).toBeLessThan(ROUNDING);
    expect(after).toBeLessThan(ROUNDING);
    expect(quietest).toBeGreaterThan(0.05);
  });

  test("solo is the stem alone", async () => {
    expect(await run("soloIsTheStemAlone")).toBeLessThan(ROUNDING);
  });

  test("clicks lie on the beats", async () => {
    const begins = await run("clicksLieOnTheGrid");
    expect(begins.map((frame) => Math.round(frame / 13_230))).toEqual([0, 1, 2, 3, 4]);
    for (const [index, frame] of begins.entries()) expect(Math.abs(frame - index * 13_230)).toBeLessThanOrEqual(2);
  });

  test("files of equal content are loaded once, and released when they are not needed", async () => {
    expect(await run("storeSharesAndReleases")).toEqual({
      opened: 2,
      shared: true,
      released: true,
      keptThroughRelease: true,
    });
  });

  test("the engine plays, measures, changes to the stems and holds its position", async () => {
    const { positionMoved, meterDb, heldStill, listening } = await run("enginePlays");
    expect({ positionMoved, heldStill, listening }).toEqual({
      positionMoved: true,
      heldStill: true,
      listening: "stems",
    });
    expect(meterDb).toBeGreaterThan(-8);
    expect(meterDb).toBeLessThan(-5);
  });

  test("another version goes on where the one before was", async () => {
    expect(await run("anotherVersionGoesOn")).toEqual({ waited: true, playing: true, wentOn: true });
  });

  test("the page's policy allows the style element of its waveforms", async () => {
    expect(readFileSync(GUARD, "utf8")).toContain(`'sha256-${await run("waveformStyleDigest")}'`);
  });
});

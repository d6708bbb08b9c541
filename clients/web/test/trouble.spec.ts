// What breaks while a job runs: the page shows its end all the same, has every event once, and makes no second job.

import { JobState, Stage } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { BrowserContext, Page } from "playwright-core";
import { afterEach, beforeEach, expect, it } from "vitest";

import { en } from "../src/messages/en";
import { endOf, isDone, startTake } from "./support/api";
import { recordWatches, type Watch } from "./support/events";
import { order } from "./support/stack";
import { inTab, openTab } from "./support/tab";

/** Runs `act` in a tab that shows a job whose work is held; `watches` are its calls of WatchJob. */
async function besideHeldJob(
  act: (jobId: string, page: Page, context: BrowserContext, watches: () => readonly Watch[]) => Promise<void>,
): Promise<void> {
  const { jobId } = await startTake("a take that is disturbed", true);
  let watches: (() => readonly Watch[]) | undefined;
  const prepare = async (context: BrowserContext): Promise<void> => {
    watches = await recordWatches(context);
  };
  await inTab({ at: `#/takes/${jobId}`, breaksConnection: true, prepare }, async (page, context) => {
    await page.getByText(en.progress.stages[Stage.PLAN], { exact: true }).first().waitFor();
    await act(jobId, page, context, watches ?? (() => []));
  });
}

/** Every event from the first watch's on, each once and in order. */
function expectEveryEvent(watches: readonly Watch[], last: bigint): void {
  const first = watches[0]?.after ?? 0n;
  const wanted = Array.from({ length: Number(last - first) }, (_, index) => first + BigInt(index) + 1n);
  expect(watches.flatMap(({ sequences }) => sequences)).toEqual(wanted);
}

async function expectDone(page: Page): Promise<void> {
  await page.getByText(en.progress.states[JobState.DONE], { exact: true }).first().waitFor();
  await expect.poll(() => page.getByRole("progressbar").count()).toBe(0);
}

beforeEach(() => order("hold"));
afterEach(() => order("release"));

it("shows the end of a job whose service was killed", () =>
  besideHeldJob(async (jobId, page, _context, watches) => {
    await order("kill-renderer");
    await order("release");
    await expectDone(page);
    const job = await endOf(jobId);
    expect(isDone(job)).toBe(true);
    expectEveryEvent(watches(), job.lastSequence);
    expect(watches().length).toBeGreaterThan(1);
  }));

it("goes on after a reload", () =>
  besideHeldJob(async (jobId, page, _context, watches) => {
    const before = watches().length;
    await page.reload();
    await page.getByText(en.progress.stages[Stage.PLAN], { exact: true }).first().waitFor();
    await order("release");
    await expectDone(page);
    const job = await endOf(jobId);
    expectEveryEvent(watches().slice(before), job.lastSequence);
  }));

it("catches up after its connection was cut", () =>
  besideHeldJob(async (jobId, page, _context, watches) => {
    await order("cut");
    await page.getByText(en.progress.connectionLost).waitFor();
    await order("release");
    await order("mend");
    await expectDone(page);
    const job = await endOf(jobId);
    expectEveryEvent(watches(), job.lastSequence);
  }));

it("says that it is offline, and goes on when it is not", () =>
  besideHeldJob(async (jobId, page, context) => {
    await context.setOffline(true);
    await order("cut"); // Chromium keeps open streams when it is set offline
    await page.getByText(en.progress.connectionLost).waitFor();
    await order("mend");
    await order("release");
    await endOf(jobId);
    await context.setOffline(false);
    await expectDone(page);
  }));

it("shows a job in two tabs, and what one of them does in the other", () =>
  besideHeldJob(async (jobId, page, context) => {
    const other = await openTab(context, `#/takes/${jobId}`);
    await other.getByRole("button", { name: en.progress.cancel, exact: true }).click();
    await order("release");
    for (const tab of [page, other]) await tab.getByText(en.progress.cancelled(1)).waitFor();
  }));

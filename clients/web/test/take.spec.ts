// From a brief to two versions of a take that are compared, and back to nothing.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { Stage } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { Page } from "playwright-core";
import { afterEach, expect, it } from "vitest";

import { en } from "../src/messages/en";
import { endOf } from "./support/api";
import { submitBrief } from "./support/compose";
import { order, stack } from "./support/stack";
import { inTab } from "./support/tab";

const { drift } = en.rerender;
/** What is said of a new stem of vocals, whatever was measured. */
const WORDS_ON_DRIFT = new RegExp(
  [drift.within, drift.beyond, drift.unmeasurable].map((words) => words("vocals").replaceAll(".", "\\.")).join("|"),
);

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

async function position(page: Page): Promise<number> {
  return Number(await page.getByRole("slider", { name: en.player.position }).getAttribute("aria-valuenow"));
}

afterEach(() => order("release"));

it("goes from a brief to a take that is heard, changed, compared and deleted", () =>
  inTab({}, async (page) => {
    await order("hold");
    const jobId = await submitBrief(page, { prompt: "slow strings, a voice", seconds: 12, stems: true });
    await page.getByText(en.progress.stages[Stage.PLAN], { exact: true }).waitFor();
    expect(await page.getByRole("progressbar").count()).toBe(2);

    // The bounce can be played while its stems are still to come.
    await order("step");
    await button(page, en.player.loop).click();
    await button(page, en.player.play).click();
    await expect.poll(() => position(page)).toBeGreaterThan(0.2);
    expect(await button(page, en.player.solo(en.player.lane.vocals)).count()).toBe(0);
    await page.getByText(en.player.stemsLater).waitFor();
    await order("release");
    const solo = button(page, en.player.solo(en.player.lane.vocals));
    await solo.waitFor();
    await expect.poll(() => page.getByRole("progressbar").count()).toBe(0);
    await button(page, en.player.pause).click();
    const paused = await position(page);

    await solo.click();
    expect(await solo.getAttribute("aria-pressed")).toBe("true");
    await button(page, en.player.play).click();
    await expect.poll(() => position(page)).not.toBe(paused);
    await button(page, en.player.stop).click();

    // One stem alone, as the service stored it.
    const job = await endOf(jobId);
    const downloading = page.waitForEvent("download");
    await button(page, en.take.downloadNamed(en.take.stemFile("vocals.wav"))).click();
    const saved = await readFile(await (await downloading).path());
    const entry = job.versions[0]?.files?.zipEntries.find(({ name }) => name === "vocals.wav");
    expect(createHash("sha256").update(saved).digest("hex")).toBe(entry?.sha256);

    // The vocals again, by another persona; the first version stays what is heard until it is asked for.
    const form = page.getByRole("region", { name: en.rerender.title });
    await form.getByText(en.take.stems[Stem.VOCALS], { exact: true }).click();
    await form.getByRole("combobox", { name: en.rerender.persona }).selectOption(stack.personas[1]);
    await form.getByText(en.rerender.more, { exact: true }).click();
    await form.getByRole("checkbox", { name: en.rerender.allowDrift }).check();
    await button(page, en.rerender.submit(en.take.stems[Stem.VOCALS])).click();
    await page.getByText(en.rerender.accepted(2)).waitFor();
    await button(page, en.take.hearBoth(2, 1)).click();
    const again = await endOf(jobId);
    expect(again.versions[1]).toMatchObject({ baseVersion: 1, rerenderedStem: Stem.VOCALS });
    const [first, second] = again.versions.map(
      ({ files }) => new Map(files?.zipEntries.map((one) => [one.name, one.sha256])),
    );
    expect(second?.get("drums.wav")).toBe(first?.get("drums.wav"));
    expect(second?.get("vocals.wav")).not.toBe(first?.get("vocals.wav"));

    // Both at the same position.
    const versions = page.getByRole("group", { name: en.player.versions });
    await button(page, en.player.play).click();
    await expect.poll(() => position(page)).toBeGreaterThan(0.1);
    await button(page, en.player.pause).click();
    const heldAt = await position(page);
    for (const number of [1, 2]) {
      const other = versions.getByRole("button", { name: en.player.version(number) });
      await other.click();
      expect(await other.getAttribute("aria-pressed")).toBe("true");
      expect(await position(page)).toBe(heldAt);
    }

    // Its timing in words.
    await page.getByRole("region", { name: en.rerender.drift.title(en.take.stems[Stem.VOCALS], 2) }).waitFor();
    await expect.poll(() => page.getByText(WORDS_ON_DRIFT).count()).toBeGreaterThan(0);

    // One version, then the take.
    await button(page, en.take.deleteVersionNamed(2)).click();
    await page.getByRole("dialog").getByRole("button", { name: en.take.deleteVersion, exact: true }).click();
    await page.getByText(en.take.deletedVersion).waitFor();
    await button(page, en.take.deleteTake).click();
    await page.getByRole("dialog").getByRole("button", { name: en.take.deleteTake, exact: true }).click();
    await page.waitForURL(/#\/library/);
    await page.goto(`${stack.url}/#/takes/${jobId}`);
    const absent = page.getByRole("heading", { name: en.take.unknown });
    await absent.or(page.getByRole("heading", { name: en.take.deleted })).waitFor();
  }));

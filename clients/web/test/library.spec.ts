// The library: search, states that change by themselves, deletion, and the sign-in.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { BrowserContext, Locator, Page } from "playwright-core";
import { afterEach, expect, it } from "vitest";

import { en } from "../src/messages/en";
import { endOf, jobs, makeTake, renders, startTake } from "./support/api";
import { order, stack } from "./support/stack";
import { inTab } from "./support/tab";

const rowOf = (page: Page, { jobId }: Job): Locator =>
  page.getByRole("listitem").filter({ has: page.locator(`a[href="#/takes/${jobId}"]`) });

async function makeLabelled(prompt: string, labels: Record<string, string>): Promise<Job> {
  const { job } = await renders.createRender({ brief: { prompt, personaId: stack.personas[1], seconds: 2, labels } });
  return endOf(job?.jobId ?? "");
}

/** Runs in the page before its own code: the tab starts with a key that the services do not know. */
function presentOnce(): void {
  // Not in the empty page of a new tab, which has no storage.
  if (location.protocol !== "http:" || sessionStorage.getItem("spec.presented") !== null) return;
  sessionStorage.setItem("spec.presented", "yes");
  sessionStorage.setItem("sonichaos.bearer", "no-such-key");
}

afterEach(() => order("release"));

it("finds takes by prompt, persona, label and state, and keeps the search in the address", async () => {
  const found = await makeLabelled("A Lighthouse in fog", { reel: "north" });
  const other = await makeTake("a harbour at noon", false);
  await inTab({ at: "#/library" }, async (page) => {
    const [isFound, isOther] = [rowOf(page, found), rowOf(page, other)];
    await isFound.waitFor();
    await isOther.waitFor();

    await page.getByRole("searchbox", { name: en.library.text }).fill("lighthouse");
    await isOther.waitFor({ state: "detached" });
    await isFound.waitFor();
    await page.reload();
    await isFound.waitFor();
    expect(await isOther.count()).toBe(0);
    expect(await page.getByRole("searchbox", { name: en.library.text }).inputValue()).toBe("lighthouse");

    await page.getByRole("combobox", { name: en.library.state }).selectOption(en.library.states.failed);
    await page.getByText(en.library.noMatch).waitFor();
    await page.getByRole("link", { name: en.library.clear }).click();
    await isOther.waitFor();

    await page.getByRole("combobox", { name: en.library.persona }).selectOption(stack.personas[1]);
    await isOther.waitFor({ state: "detached" });
    await page.getByRole("combobox", { name: en.library.persona }).selectOption("");
    await isOther.waitFor();
    await isFound.getByRole("link", { name: "reel=north" }).click();
    await isOther.waitFor({ state: "detached" });
    await isFound.waitFor();
  });
});

it("shows a new take of somebody else, its state until it is done, and that it is deleted", () =>
  inTab({ at: "#/library" }, async (page) => {
    await page.getByRole("searchbox", { name: en.library.text }).waitFor();
    await order("hold");
    const job = await startTake("made elsewhere", false);
    const row = rowOf(page, job);
    await row.getByRole("progressbar").waitFor();
    expect(await row.getByRole("button", { name: en.library.removeOf("made elsewhere") }).isEnabled()).toBe(false);
    await order("release");
    await row.getByText(en.progress.states[4], { exact: true }).waitFor();
    await row.getByText(en.library.keptForever).waitFor();
    await jobs.deleteJob({ jobId: job.jobId });
    await row.waitFor({ state: "detached" });
  }));

it("asks before it deletes a take, and gives the focus to what is left", async () => {
  const job = await makeTake("not for long", false);
  await inTab({ at: "#/library" }, async (page) => {
    const remove = rowOf(page, job).getByRole("button", { name: en.library.removeOf("not for long") });
    await remove.click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: en.library.keep }).click();
    await dialog.waitFor({ state: "detached" });
    expect(await remove.evaluate((button) => button === document.activeElement)).toBe(true);
    expect((await jobs.getJob({ jobId: job.jobId })).job?.jobId).toBe(job.jobId);

    await remove.click();
    await dialog.getByRole("button", { name: en.library.remove }).click();
    await rowOf(page, job).waitFor({ state: "detached" });
    await page.getByText(en.library.removed("not for long")).waitFor();
    const heading = page.getByRole("heading", { name: en.app.library });
    await expect.poll(() => heading.evaluate((element) => element === document.activeElement)).toBe(true);
  });
  await expect(jobs.getJob({ jobId: job.jobId })).rejects.toThrow();
});

it("asks for a credential when one is refused, and lists what the caller may see", async () => {
  const job = await makeTake("behind a door", false);
  const prepare = async (context: BrowserContext): Promise<void> => {
    await context.addInitScript(presentOnce);
  };
  await inTab({ at: "#/library", prepare, breaksConnection: true }, async (page) => {
    await page.getByText(en.session.invalid).waitFor();
    await page.getByText(en.readiness.signedOut).waitFor();
    expect(await rowOf(page, job).count()).toBe(0);
    await page.getByLabel(en.session.label).fill("not a key");
    await page.getByRole("button", { name: en.session.signIn, exact: true }).click();
    await page.getByText(en.session.malformed).waitFor();
    await page.getByRole("button", { name: en.session.forget }).click();
    await rowOf(page, job).waitFor();
    expect(await page.getByText(en.session.title, { exact: true }).count()).toBe(0);
  });
});

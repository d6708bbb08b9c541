// The form of the brief: errors at their fields, by keyboard alone, and back from a take.

import { expect, it } from "vitest";

import { en } from "../src/messages/en";
import { endOf, isDone, jobIds, makeTake } from "./support/api";
import { choosePersona, jobIdOf, personaRadio, tabTo } from "./support/compose";
import { stack } from "./support/stack";
import { inTab } from "./support/tab";

it("shows what the service refuses at its field, and makes no job", async () => {
  const before = await jobIds();
  await inTab({}, async (page) => {
    await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill("a song in a mode that nobody knows");
    await choosePersona(page, stack.personas[0]);
    await page.getByText(en.brief.scoreChoices.chords, { exact: true }).click();
    const chords = page.getByRole("textbox", { name: en.brief.chords, exact: true });
    await chords.fill("Am Xyz G");
    await page.getByRole("button", { name: en.brief.render, exact: true }).click();
    await page.getByRole("alert").getByText(en.brief.fieldsToChange(1)).waitFor();
    expect(await chords.getAttribute("aria-invalid")).toBe("true");
    const problem = await chords.evaluate((field) => {
      const ids = field.getAttribute("aria-describedby")?.split(" ") ?? [];
      return ids.map((id) => document.getElementById(id)?.textContent).join(" ");
    });
    expect(problem).toContain("Xyz");
    expect(await chords.evaluate((field) => field === document.activeElement)).toBe(true);
    await chords.fill("Am F C G");
    await expect.poll(() => chords.getAttribute("aria-invalid")).not.toBe("true");
  });
  expect(await jobIds()).toEqual(before);
});

it("can be filled in and submitted without a pointer", () =>
  inTab({}, async (page) => {
    await tabTo(page, page.getByRole("textbox", { name: en.brief.prompt, exact: true }));
    await page.keyboard.type("typed with ten fingers");
    const chosen = personaRadio(page, stack.personas[1]);
    await tabTo(page, page.locator('input[name="persona"]:checked, input[name="persona"]').first());
    await page.keyboard.press("Space");
    const personas = await page.locator('input[name="persona"]').count();
    for (let step = 0; step < personas && !(await chosen.isChecked()); step += 1)
      await page.keyboard.press("ArrowDown");
    await tabTo(page, page.getByRole("textbox", { name: en.brief.seconds }));
    await page.keyboard.press("Control+a");
    await page.keyboard.type("4");
    await tabTo(page, page.getByRole("checkbox", { name: en.brief.instrumental }));
    await page.keyboard.press("Space");
    await tabTo(page, page.getByRole("button", { name: en.brief.render, exact: true }));
    await page.keyboard.press("Enter");
    const { brief } = await endOf(await jobIdOf(page));
    expect(brief).toMatchObject({ prompt: "typed with ten fingers", personaId: stack.personas[1], instrumental: true });
    await tabTo(page, page.getByRole("button", { name: en.player.play, exact: true }));
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: en.player.pause, exact: true }).waitFor();
  }));

it("has the brief of a take again, with its seed, for the same samples", async () => {
  const take = await makeTake("a take to come back to", false);
  await inTab({ at: `#/takes/${take.jobId}` }, async (page) => {
    await page.getByRole("link", { name: en.take.restoreBrief }).click();
    await page.getByText(en.brief.replaced.seedKept).waitFor();
    await page.getByRole("button", { name: en.brief.render, exact: true }).click();
    await expect.poll(() => page.url()).not.toContain(take.jobId);
    const again = await endOf(await jobIdOf(page));
    expect(isDone(again)).toBe(true);
    expect(again.brief?.seed).toBe(take.brief?.seed);
    expect(again.versions[0]?.files?.manifest?.sizeBytes).toBeGreaterThan(0n);
  });
});

it("refuses a length that the renderer cannot make before it sends anything", async () => {
  const before = await jobIds();
  await inTab({}, async (page) => {
    const length = page.getByRole("textbox", { name: en.brief.seconds });
    await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill("an opera");
    await choosePersona(page, stack.personas[0]);
    await length.fill("100000");
    await page.getByRole("button", { name: en.brief.render, exact: true }).click();
    await expect.poll(() => length.getAttribute("aria-invalid")).toBe("true");
  });
  expect(await jobIds()).toEqual(before);
});

it("submits once, however often its button is pressed", async () => {
  const before = await jobIds();
  await inTab({}, async (page) => {
    await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill("twice");
    await choosePersona(page, stack.personas[0]);
    await page.getByRole("button", { name: en.brief.render, exact: true }).dblclick();
    await jobIdOf(page);
    await page.reload();
    await page.goBack();
    await page.reload();
  });
  expect((await jobIds()).length).toBe(before.length + 1);
});

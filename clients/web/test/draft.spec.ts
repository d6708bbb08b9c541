// The form of the brief while it is written: what was recognised, clips, tapping, JSON, and a reload.

import { expect, it } from "vitest";

import { en } from "../src/messages/en";
import { personaName } from "../src/personas/persona_name";
import { choosePersona } from "./support/compose";
import { stack } from "./support/stack";
import { inTab } from "./support/tab";

it("shows what is read from the prompt, and what overrides it", () =>
  inTab({}, async (page) => {
    const axes = page.getByRole("region", { name: en.brief.axes.title });
    await page.getByRole("textbox", { name: en.brief.prompt, exact: true }).fill("slow, dark strings in A minor");
    for (const text of [
      en.brief.axes.from("strings"),
      en.brief.axes.from("dark"),
      en.brief.axes.from("slow"),
      "A minor",
    ])
      await axes.getByText(text).waitFor();
    await axes.getByText(en.brief.axes.openVoice).waitFor();

    await page.getByText(en.brief.tempoChoices.bpm, { exact: true }).click();
    await page.getByRole("textbox", { name: en.brief.bpm }).fill("97");
    await axes.getByText(en.brief.axes.setTempo("97 BPM")).waitFor();
    await page.getByRole("combobox", { name: en.brief.key }).selectOption("Eb");
    await axes.getByText(en.brief.axes.setKey("Eb minor")).waitFor();
  }));

it("plays one clip of a persona at a time, and only when asked", () =>
  inTab({}, async (page) => {
    const [first, second] = stack.personas.map(personaName);
    if (first === undefined || second === undefined) throw new Error("there must be two personas");
    const stopping = page.getByRole("button", { name: /^Stop clip/ });
    const play = (persona: string) => page.getByRole("button", { name: en.brief.clips.play(persona, 1) });
    await play(first).waitFor();
    expect(await stopping.count()).toBe(0);
    await play(first).click();
    await page.getByRole("button", { name: en.brief.clips.stop(first, 1) }).waitFor();
    await play(second).click();
    await page.getByRole("button", { name: en.brief.clips.stop(second, 1) }).waitFor();
    expect(await stopping.count()).toBe(1);
    expect(await page.locator('input[name="persona"]:checked').count()).toBe(0);
  }));

it("has the tempo of taps on a key", () =>
  inTab({}, async (page) => {
    await page.getByRole("button", { name: en.brief.tap }).focus();
    const bpm = page.getByRole("textbox", { name: en.brief.bpm });
    await page.keyboard.press("t");
    expect(await bpm.count()).toBe(0);
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    expect(Number(await bpm.inputValue())).toBeGreaterThanOrEqual(30);
    expect(Number(await bpm.inputValue())).toBeLessThanOrEqual(300);
  }));

it("takes a brief as JSON, gives the same back, and undoes it", () =>
  inTab({}, async (page) => {
    const given = {
      prompt: "from a file",
      personaId: stack.personas[1],
      seed: 4_294_967_295,
      seconds: 12.5,
      tempoMap: {
        points: [
          { bpm: 90, beatsPerBar: 3, beatUnit: 8 },
          { startSeconds: 4.25, bpm: 120.5, beatsPerBar: 4, beatUnit: 4 },
        ],
        swingRatio: 0.6,
      },
      key: "Bb major",
      labels: { project: "night" },
    };
    const prompt = page.getByRole("textbox", { name: en.brief.prompt, exact: true });
    await prompt.fill("typed before");
    await page.getByText(en.brief.json.title, { exact: true }).click();
    const input = page.getByRole("textbox", { name: en.brief.json.input });
    await input.fill('{"promt": "x"}');
    await page.getByRole("button", { name: en.brief.json.use }).click();
    await page.getByText(/"promt" is unknown/).waitFor();
    expect(await prompt.inputValue()).toBe("typed before");

    await input.fill(JSON.stringify(given));
    await page.getByRole("button", { name: en.brief.json.use }).click();
    await page.getByText(en.brief.replaced.json).waitFor();
    const notice = page.getByRole("region", { name: en.brief.replaced.title });
    expect(await notice.evaluate((element) => element === document.activeElement)).toBe(true);
    const output = page.getByRole("textbox", { name: en.brief.json.text });
    expect(JSON.parse(await output.inputValue())).toEqual(given);
    await page.getByRole("button", { name: en.brief.replaced.undo }).click();
    expect(await prompt.inputValue()).toBe("typed before");
  }));

it("is as it was after a reload, and empty in another tab", () =>
  inTab({}, async (page, context) => {
    const prompt = page.getByRole("textbox", { name: en.brief.prompt, exact: true });
    const seed = page.getByRole("textbox", { name: en.brief.seed });
    await prompt.fill("half a thou");
    await choosePersona(page, stack.personas[0]);
    await page.getByText(en.brief.tempoChoices.map, { exact: true }).click();
    await page.getByRole("button", { name: en.brief.map.add }).click();
    await page.getByRole("button", { name: en.brief.seedDraw }).click();
    const drawn = await seed.inputValue();
    await page.reload();
    await expect.poll(() => prompt.inputValue()).toBe("half a thou");
    expect(await seed.inputValue()).toBe(drawn);
    expect(await page.getByRole("button", { name: en.brief.map.remove(2) }).count()).toBe(1);
    await expect
      .poll(() => page.locator('input[name="persona"]:checked').getAttribute("value"))
      .toBe(stack.personas[0]);

    const other = await context.newPage();
    await other.goto(stack.url);
    expect(await other.getByRole("textbox", { name: en.brief.prompt, exact: true }).inputValue()).toBe("");
  }));

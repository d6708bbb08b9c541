// The page in Debian's Firefox: from a brief to a take that plays.

import { expect, it } from "vitest";

import { en } from "../src/messages/en";
import { endOf, isDone } from "./support/api";
import { Firefox } from "./support/firefox";
import { stack } from "./support/stack";

const SILENT = "document.querySelectorAll('audio, video').length === 0";

it("renders a take and plays it", async () => {
  const firefox = await Firefox.open(`${stack.url}/`);
  try {
    await firefox.until(`document.getElementById("persona-${stack.personas[0]}") !== null`);
    await firefox.click("textarea", en.brief.prompt);
    await firefox.type("slow strings");
    await firefox.evaluate(`document.querySelector('label[for="persona-${stack.personas[0]}"]').click()`);
    await firefox.press("input", en.brief.stems);
    await firefox.press("button", en.brief.render);
    await firefox.until("location.hash.startsWith('#/takes/')");
    const jobId = String(await firefox.evaluate("location.hash")).replace("#/takes/", "");
    expect(isDone(await endOf(jobId))).toBe(true);
    expect(await firefox.evaluate(SILENT)).toBe(true);
    await firefox.press("button", en.player.solo(en.player.lane.vocals));
    await firefox.click("button", en.player.play);
    // Where there is no sound device, Firefox's audio clock stands still: that the page plays is all that can be seen.
    await firefox.click("button", en.player.pause);
    expect(firefox.errors).toEqual([]);
    const { hostname } = new URL(stack.url);
    const hosts = firefox.requests.map((url) => new URL(url)).filter(({ protocol }) => protocol.startsWith("http"));
    expect(hosts.filter((url) => url.hostname !== hostname).map(({ href }) => href)).toEqual([]);
  } finally {
    await firefox.close();
  }
});

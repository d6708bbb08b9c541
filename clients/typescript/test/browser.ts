// node browser.js URL: opens a page in Chromium and does what the JSON object on stdin says: `fill` fields of its form and submit
// it, or `ask` questions of test/facts.ts. Prints the result as JSON.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { chromium, type Page } from "playwright-core";

import type { Question } from "./facts.js";

interface Task {
  readonly fill?: Readonly<Record<string, string>>;
  readonly ask?: { readonly address: string; readonly questions: readonly Question[] };
}

const TIMEOUT_MS = 120_000;
// Sandbox and GPU do not work in containers. The rest stops requests of the browser's own.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function fillAndSubmit(page: Page, fields: Readonly<Record<string, string>>): Promise<unknown> {
  for (const [name, value] of Object.entries(fields)) await page.locator(`input[name=${name}]`).fill(value);
  await page.locator("button").click();
  const result = page.locator("#result:not(:empty)");
  await result.waitFor({ timeout: TIMEOUT_MS });
  return { result: await result.textContent(), players: await page.locator("audio").count() };
}

async function ask(page: Page, { address, questions }: NonNullable<Task["ask"]>): Promise<unknown> {
  return page.evaluate(`answerAll(${JSON.stringify(address)}, ${JSON.stringify(questions)})`);
}

const [url = ""] = process.argv.slice(2);
const task = JSON.parse(await text(process.stdin)) as Task;
const profile = await mkdtemp(join(tmpdir(), "chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: FLAGS,
});
try {
  const page = await context.newPage();
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(url);
  const result = task.fill === undefined ? undefined : await fillAndSubmit(page, task.fill);
  console.log(JSON.stringify(task.ask === undefined ? result : await ask(page, task.ask)));
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}

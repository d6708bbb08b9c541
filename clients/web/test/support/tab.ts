// Tabs of Debian's Chromium with the served page. Whatever a tab does, its page may not log an error, break its
// Content-Security-Policy or ask a third party for anything.

import { join } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";

import { stack } from "./stack";

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
const TIMEOUT_MS = 60_000;
/** What Chromium itself logs when a request fails, which a spec that breaks the connection expects. */
const BROKEN_CONNECTION = /^Failed to load resource: /;

let browser: Browser | undefined;

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
});

afterAll(async () => {
  await browser?.close();
});

interface TabOptions extends BrowserContextOptions {
  /** The address's fragment. */
  readonly at?: string;
  /** The spec breaks the connection: what the browser logs of failed requests is not an error of the page. */
  readonly breaksConnection?: boolean;
  /** Changes the context before its first page is opened. */
  readonly prepare?: (context: BrowserContext) => Promise<void>;
}

/** Runs `act` in a new tab with a browser context of its own, which shows the page at `at`; then checks what the page did. */
export async function inTab(
  { at = "#/", breaksConnection = false, prepare, ...options }: TabOptions,
  act: (page: Page, context: BrowserContext) => Promise<void>,
): Promise<void> {
  if (browser === undefined) throw new Error("the browser has not been started");
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(TIMEOUT_MS);
  await prepare?.(context);
  const offences = watchOffences(context, breaksConnection);
  try {
    await act(await openTab(context, at), context);
    expect(offences, "errors, violations of the policy and requests to others").toEqual([]);
  } catch (failure) {
    if (stack.out !== "") await takePictures(context);
    throw failure;
  } finally {
    await context.close();
  }
}

/** What each page shows when a spec fails, as pictures in the folder for files that outlast the run. */
async function takePictures(context: BrowserContext): Promise<void> {
  for (const [number, page] of context.pages().entries()) {
    await page.screenshot({ path: join(stack.out, `failed-${number}.png`), fullPage: true });
  }
}

/** One more tab of a context. */
export async function openTab(context: BrowserContext, at: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${stack.url}/${at}`);
  await page.getByRole("main").waitFor();
  return page;
}

/** Fills a list with what no page may do, in all tabs of a context. Chromium logs violations of the policy as errors. */
function watchOffences(context: BrowserContext, breaksConnection: boolean): readonly string[] {
  const found: string[] = [];
  const own = new URL(stack.url);
  context.on("console", (message) => {
    const expected = breaksConnection && BROKEN_CONNECTION.test(message.text());
    if ((message.type() === "error" || message.type() === "warning") && !expected) found.push(`log: ${message.text()}`);
  });
  context.on("weberror", (error) => found.push(`exception: ${error.error().message}`));
  context.on("request", (request) => {
    const { protocol, hostname, href } = new URL(request.url());
    // The files of signed URLs have another port.
    if (protocol !== "data:" && protocol !== "blob:" && hostname !== own.hostname) found.push(`request: ${href}`);
  });
  return found;
}

// Debian's Firefox by WebDriver BiDi, which it speaks itself: a page, its log, and what a user does in it.
// https://w3c.github.io/webdriver-bidi/

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const POLL_MS = 100;
const LIMIT_MS = 60_000;

interface Message {
  readonly id?: number;
  readonly type: "success" | "error" | "event";
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly message?: string;
}

export class Firefox {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  /** What the page has logged as an error, and each address that it has asked for. */
  readonly errors: string[] = [];
  readonly requests: string[] = [];
  #context = "";
  #commands = 0;

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(String(data)) as Message));
  }

  /** Starts Firefox without a window and opens `url`. */
  static async open(url: string): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "firefox-"));
    const child = spawn("firefox-esr", ["--headless", "--remote-debugging-port=0", "--profile", profile], {
      env: { ...process.env, HOME: profile },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const socket = new WebSocket(`${await listening(child)}/session`);
    await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
    const firefox = new Firefox(child, profile, socket);
    await firefox.#begin(url);
    return firefox;
  }

  async #begin(url: string): Promise<void> {
    await this.#send("session.new", { capabilities: {} });
    await this.#send("session.subscribe", { events: ["log.entryAdded", "network.beforeRequestSent"] });
    const { contexts } = (await this.#send("browsingContext.getTree", {})) as { contexts: { context: string }[] };
    this.#context = contexts[0]?.context ?? "";
    await this.#send("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  /** The value of an expression in the page, which must be plain JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const { type, result, exceptionDetails } = (await this.#send("script.evaluate", {
      expression: `Promise.resolve(${expression}).then(JSON.stringify)`,
      target: { context: this.#context },
      awaitPromise: true,
    })) as { type: string; result?: { value?: string }; exceptionDetails?: { text: string } };
    if (type !== "success") throw new Error(exceptionDetails?.text ?? type);
    return result?.value === undefined ? undefined : JSON.parse(result.value);
  }

  /** Waits until there is an enabled element of this selector and name, and has the page click on it. */
  async press(selector: string, name: string): Promise<void> {
    await this.until(`${found(selector, name)} !== undefined`);
    await this.evaluate(`${found(selector, name)}.click()`);
  }

  /** The same with the mouse, which is a gesture of the user. */
  async click(selector: string, name: string): Promise<void> {
    const element = found(selector, name);
    await this.until(`${element} !== undefined`);
    await this.evaluate(`${element}.scrollIntoView({ block: "center" })`);
    const middle = `(({ x, y, width, height }) => [x + width / 2, y + height / 2])(${element}.getBoundingClientRect())`;
    const [x = 0, y = 0] = (await this.evaluate(middle)) as number[];
    const pointer = [
      { type: "pointerMove", x: Math.round(x), y: Math.round(y) },
      { type: "pointerDown", button: 0 },
      { type: "pointerUp", button: 0 },
    ];
    await this.#send("input.performActions", {
      context: this.#context,
      actions: [{ type: "pointer", id: "mouse", actions: pointer }],
    });
  }

  /** Types a text where the focus is. */
  async type(text: string): Promise<void> {
    const keys = [...text].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#send("input.performActions", {
      context: this.#context,
      actions: [{ type: "key", id: "keys", actions: keys }],
    });
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    await this.#until(expression, () => this.evaluate(expression));
  }

  /** A picture of the page, PNG as base64. */
  async screenshot(): Promise<string> {
    const { data } = (await this.#send("browsingContext.captureScreenshot", { context: this.#context })) as {
      data: string;
    };
    return data;
  }

  async close(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
    rmSync(this.#profile, { recursive: true, force: true });
  }

  async #until<T>(what: string, look: () => Promise<T>): Promise<NonNullable<T>> {
    for (const giveUp = Date.now() + LIMIT_MS; Date.now() < giveUp; ) {
      const found = await look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`after ${LIMIT_MS / 1000} s still not: ${what}`);
  }

  async #send(method: string, params: Record<string, unknown>): Promise<Record<string, unknown>> {
    this.#commands += 1;
    const id = this.#commands;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const answer = await answered;
    if (answer.type === "error") throw new Error(`${method}: ${answer.message}`);
    return answer.result ?? {};
  }

  #receive(message: Message): void {
    if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    } else if (message.method === "log.entryAdded") {
      const { level, text } = message.params as { level: string; text: string | null };
      if (level === "error") this.errors.push(text ?? "");
    } else if (message.method === "network.beforeRequestSent") {
      const { request } = message.params as { request: { url: string } };
      this.requests.push(request.url);
    }
  }
}

/** The expression of an enabled element by its selector and its label or text. */
function found(selector: string, name: string): string {
  const texts = "[one.ariaLabel, ...[...(one.labels ?? [])].map((label) => label.textContent), one.textContent]";
  const isIt = `!one.disabled && ${texts}.some((text) => text?.trim() === ${JSON.stringify(name)})`;
  return `[...document.querySelectorAll(${JSON.stringify(selector)})].find((one) => ${isIt})`;
}

/** The address that Firefox says it listens on. */
async function listening(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error("stderr is read");
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error("Firefox ended before it listened");
}

// What the caller of these specs has started, named in the environment: the served page, and a server that acts on its processes.

interface Stack {
  /** Where `sonichaos up --web` serves the page. */
  readonly url: string;
  /** Where the caller takes orders, each a path of its own. */
  readonly control: string;
  /** Personas with clips: the first is that of takes, the second that of re-renders. */
  readonly personas: readonly [string, string];
  /** The folder for files that outlast the run; empty if there is none. */
  readonly out: string;
}

function readStack(): Stack {
  const text = process.env.SONICHAOS_PAGE_TEST;
  if (text === undefined)
    throw new Error("SONICHAOS_PAGE_TEST must have the stack as JSON; tests/flow/test_web_page.py sets it");
  return JSON.parse(text) as Stack;
}

export const stack: Stack = readStack();

/** Lets the caller act, for example kill a service; resolves with its answer once that is done. */
export async function order(name: string): Promise<string> {
  const answer = await fetch(`${stack.control}/${name}`, { method: "POST" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`order ${name}: ${text}`);
  return text;
}

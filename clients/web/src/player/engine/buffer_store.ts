// The decoded files that the player needs now: loaded one after the other, shared by equal content, released when unused.

import { loadWav, type WavSource } from "./load_wav";

export type FileState =
  | { readonly status: "waiting" }
  | { readonly status: "loading"; readonly fraction: number }
  | { readonly status: "loaded" }
  | { readonly status: "failed"; readonly problem: unknown };

interface Entry {
  readonly source: WavSource;
  state: FileState;
  buffer?: AudioBuffer;
}

const WAITING: FileState = { status: "waiting" };
const REPORTED_STEPS = 20;

/** Files by their SHA-256. */
export class BufferStore {
  readonly #onChange: () => void;
  #entries = new Map<string, Entry>();
  #loading: { readonly entry: Entry; readonly abort: AbortController } | undefined;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** What is needed from now on, the most urgent first. Everything else is released, also while it loads. */
  keep(sources: readonly WavSource[]): void {
    const kept = new Map<string, Entry>();
    for (const source of sources) {
      kept.set(source.sha256, this.#entries.get(source.sha256) ?? { source, state: WAITING });
    }
    this.#entries = kept;
    if (this.#loading !== undefined && !kept.has(this.#loading.entry.source.sha256)) {
      this.#loading.abort.abort();
      this.#loading = undefined;
    }
    this.#loadNext();
  }

  /** Loads again what failed. */
  retry(): void {
    for (const entry of this.#entries.values()) if (entry.state.status === "failed") entry.state = WAITING;
    this.#onChange();
    this.#loadNext();
  }

  buffer(sha256: string): AudioBuffer | undefined {
    return this.#entries.get(sha256)?.buffer;
  }

  state(sha256: string): FileState {
    return this.#entries.get(sha256)?.state ?? WAITING;
  }

  #loadNext(): void {
    if (this.#loading !== undefined) return;
    for (const entry of this.#entries.values()) {
      if (entry.state.status !== "waiting") continue;
      void this.#load(entry);
      return;
    }
  }

  async #load(entry: Entry): Promise<void> {
    const abort = new AbortController();
    const loading = { entry, abort };
    this.#loading = loading;
    this.#report(entry, { status: "loading", fraction: 0 });
    try {
      entry.buffer = await loadWav(entry.source, abort.signal, (fraction) => this.#progress(entry, fraction));
      entry.state = { status: "loaded" };
    } catch (problem) {
      entry.state = abort.signal.aborted ? WAITING : { status: "failed", problem };
    }
    if (this.#loading !== loading) return;
    this.#loading = undefined;
    this.#onChange();
    this.#loadNext();
  }

  #progress(entry: Entry, fraction: number): void {
    const rounded = Math.floor(fraction * REPORTED_STEPS) / REPORTED_STEPS;
    if (entry.state.status === "loading" && rounded > entry.state.fraction) {
      this.#report(entry, { status: "loading", fraction: rounded });
    }
  }

  #report(entry: Entry, state: FileState): void {
    entry.state = state;
    if (this.#entries.get(entry.source.sha256) === entry) this.#onChange();
  }
}

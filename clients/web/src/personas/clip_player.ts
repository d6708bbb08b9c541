// Plays reference clips of personas, one at a time, and only when asked.

import { renders } from "../api/calls";

const MAX_CLIP_BYTES = 32 * 1024 * 1024;

export interface PlayingClip {
  readonly personaId: string;
  /** From 0. */
  readonly clipIndex: number;
  readonly state: "loading" | "playing" | "failed";
  /** Why it failed. */
  readonly problem?: unknown;
}

/** A clip that no caller may send, or that the browser cannot decode. */
export class ClipError extends Error {
  constructor(readonly kind: "too large" | "unplayable") {
    super(kind);
  }
}

export class ClipPlayer {
  private clip: PlayingClip | undefined;
  private audio: HTMLAudioElement | undefined;
  private url = "";
  private download: AbortController | undefined;
  private readonly listeners = new Set<() => void>();

  /** For useSyncExternalStore. Stops once nobody listens. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  };

  readonly current = (): PlayingClip | undefined => this.clip;

  /** Stops the clip if it is the one that plays; otherwise plays it in place of any other. */
  readonly toggle = async (personaId: string, clipIndex: number): Promise<void> => {
    const isOn =
      this.clip?.personaId === personaId && this.clip.clipIndex === clipIndex && this.clip.state !== "failed";
    this.stop();
    if (isOn) return;
    const download = new AbortController();
    this.download = download;
    this.show({ personaId, clipIndex, state: "loading" });
    try {
      const blob = await downloadClip(personaId, clipIndex, download.signal);
      if (download.signal.aborted) return;
      await this.play(blob);
      if (!download.signal.aborted) this.show({ personaId, clipIndex, state: "playing" });
    } catch (problem) {
      if (download.signal.aborted) return;
      this.stop();
      this.show({ personaId, clipIndex, state: "failed", problem });
    }
  };

  readonly stop = (): void => {
    this.download?.abort();
    this.audio?.pause();
    this.audio = undefined;
    if (this.url !== "") URL.revokeObjectURL(this.url);
    this.url = "";
    if (this.clip !== undefined) this.show(undefined);
  };

  private async play(blob: Blob): Promise<void> {
    this.url = URL.createObjectURL(blob);
    const audio = new Audio(this.url);
    this.audio = audio;
    audio.addEventListener("ended", this.stop);
    try {
      await audio.play();
    } catch {
      throw new ClipError("unplayable");
    }
  }

  private show(clip: PlayingClip | undefined): void {
    this.clip = clip;
    for (const listener of this.listeners) listener();
  }
}

async function downloadClip(personaId: string, clipIndex: number, signal: AbortSignal): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let type = "";
  let size = 0;
  for await (const { data, mediaType } of renders.downloadPersonaClip({ personaId, clipIndex }, { signal })) {
    if (mediaType.startsWith("audio/")) type = mediaType;
    size += data.byteLength;
    if (size > MAX_CLIP_BYTES) throw new ClipError("too large");
    parts.push(new Uint8Array(data));
  }
  return new Blob(parts, { type });
}

// The click on the beat grid: scheduled ahead on the audio clock, so that a busy page does not move it.

import { frameOfSeconds, SAMPLE_RATE_HZ } from "./audio_format";
import { type Run, timesOfFrame } from "./run";
import type { Beat } from "./tempo_grid";

/** Timers of a page in the background fire once a second at worst. */
export const CLICK_AHEAD_S = 1.5;
const LENGTH_S = 0.04;
const DECAY_S = 0.008;
const DOWNBEAT = { hz: 1760, peak: 0.5 } as const;
const BEAT = { hz: 1175, peak: 0.3 } as const;

export interface Click {
  readonly time: number;
  readonly accent: boolean;
}

/** The clicks of a run in [from, to) of the clock, in order. */
export function clicksBetween(run: Run, beats: readonly Beat[], from: number, to: number): Click[] {
  return beats
    .flatMap((beat) => {
      const times = timesOfFrame(run, frameOfSeconds(beat.seconds), from, to);
      return times.map((time) => ({ time, accent: beat.beat === 1 && beat.bar > 0 }));
    })
    .sort((a, b) => a.time - b.time);
}

function tone({ hz, peak }: { readonly hz: number; readonly peak: number }): AudioBuffer {
  const length = Math.round(LENGTH_S * SAMPLE_RATE_HZ);
  const buffer = new AudioBuffer({ length, numberOfChannels: 1, sampleRate: SAMPLE_RATE_HZ });
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < length; i++) {
    const seconds = i / SAMPLE_RATE_HZ;
    samples[i] = peak * Math.exp(-seconds / DECAY_S) * Math.sin(2 * Math.PI * hz * seconds);
  }
  return buffer;
}

/** Plays the clicks of one run after the other. */
export class ClickTrack {
  readonly #context: BaseAudioContext;
  readonly #destination: AudioNode;
  readonly #downbeat = tone(DOWNBEAT);
  readonly #beat = tone(BEAT);
  readonly #sources = new Set<AudioBufferSourceNode>();
  #scheduledTo = 0;

  constructor(context: BaseAudioContext, destination: AudioNode) {
    this.#context = context;
    this.#destination = destination;
  }

  /** Schedules what a run passes until `CLICK_AHEAD_S` from now. Call it more often than that. */
  schedule(run: Run, beats: readonly Beat[]): void {
    const now = this.#context.currentTime;
    const from = Math.max(this.#scheduledTo, now, run.startTime);
    const to = now + CLICK_AHEAD_S;
    if (from >= to) return;
    for (const { time, accent } of clicksBetween(run, beats, from, to)) {
      const source = new AudioBufferSourceNode(this.#context, { buffer: accent ? this.#downbeat : this.#beat });
      source.connect(this.#destination);
      source.onended = () => this.#sources.delete(source);
      source.start(time);
      this.#sources.add(source);
    }
    this.#scheduledTo = to;
  }

  /** Takes back what has not sounded yet. */
  cancel(): void {
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.#scheduledTo = 0;
  }
}

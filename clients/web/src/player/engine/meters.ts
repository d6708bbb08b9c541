// Peak meters of the lanes and the master: every sample is seen, on the audio thread.

import meterWorklet from "./meter_worklet.ts?worker&url";

import { LANES, type LaneName } from "./mix";
import type { MixGraph } from "./mix_graph";

export type MeterName = LaneName | "master";
export const METERS: readonly MeterName[] = [...LANES, "master"];

export const METER_FLOOR_DB = -60;
const FALL_DB_PER_S = 24;
const HOLD_S = 1.5;
/** The highest sample of 24 bits: what reaches it counts as clipped. */
const FULL_SCALE = 1 - 2 ** -23;

export interface MeterReading {
  /** Level now, -60 to 6 dBFS or more. */
  readonly db: number;
  /** Highest level of the last 1.5 s. */
  readonly heldDb: number;
  /** True from the first sample at full scale until `reset`. */
  readonly clipped: boolean;
}

/** One meter: rises at once, falls by 24 dB a second, holds its peak. Times are seconds of any steady clock. */
export class PeakHold {
  #db = METER_FLOOR_DB;
  #at = 0;
  #heldDb = METER_FLOOR_DB;
  #heldAt = 0;
  #clipped = false;

  /** The highest sample since the last call, 0 or more. */
  report(peak: number, now: number): void {
    const db = Math.max(METER_FLOOR_DB, 20 * Math.log10(peak));
    const fallen = this.read(now);
    this.#db = Math.max(db, fallen.db);
    this.#at = now;
    if (db >= fallen.heldDb) {
      this.#heldDb = db;
      this.#heldAt = now;
    }
    this.#clipped ||= peak >= FULL_SCALE;
  }

  read(now: number): MeterReading {
    const db = Math.max(METER_FLOOR_DB, this.#db - FALL_DB_PER_S * Math.max(0, now - this.#at));
    const heldDb = now - this.#heldAt > HOLD_S ? db : Math.max(db, this.#heldDb);
    return { db, heldDb, clipped: this.#clipped };
  }

  reset(): void {
    this.#clipped = false;
  }
}

/** The meters of a graph. Silent where the browser has no audio worklets, as on pages without a secure origin. */
export class Meters {
  readonly #holds = new Map<MeterName, PeakHold>(METERS.map((name) => [name, new PeakHold()]));

  /** Connects the meters behind the faders. */
  async connect(context: AudioContext, graph: MixGraph): Promise<void> {
    if (!("audioWorklet" in context)) return;
    await context.audioWorklet.addModule(meterWorklet);
    const node = new AudioWorkletNode(context, "peak-meter", {
      numberOfInputs: METERS.length,
      outputChannelCount: [1],
    });
    for (const [input, name] of METERS.entries()) {
      (name === "master" ? graph.master : graph.lanes[name].fader).connect(node, 0, input);
    }
    // Its output is silent: only nodes that lead to the destination are sure to run.
    node.connect(context.destination);
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      const now = performance.now() / 1000;
      for (const [input, name] of METERS.entries()) this.#holds.get(name)?.report(data[input] ?? 0, now);
    };
  }

  read(name: MeterName): MeterReading {
    const hold = this.#holds.get(name);
    return hold?.read(performance.now() / 1000) ?? { db: METER_FLOOR_DB, heldDb: METER_FLOOR_DB, clipped: false };
  }

  reset(name: MeterName): void {
    this.#holds.get(name)?.reset();
  }
}

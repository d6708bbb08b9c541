// Peak meters of the lanes and the master: every sample is seen, on the audio thread.

import meterWorklet from "./meter_worklet.ts?worker&url";

import { LANES, type LaneName } from "./mix";
import type { MixGraph } from "./mix_graph";
import { METER_FLOOR_DB, type MeterReading, PeakHold } from "./peak_hold";

export type MeterName = LaneName | "master";
export const METERS: readonly MeterName[] = [...LANES, "master"];

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

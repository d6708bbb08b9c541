// The audio graph. For each lane: a gain for each version, both into the lane's fader; all faders into the master.
// It takes any BaseAudioContext, so that an OfflineAudioContext renders exactly what is heard.

import { secondsOfFrame } from "./audio_format";
import { gainOfDb, type Heard, LANES, type LaneName, laneGain, type Mix, SIDES, type SideName } from "./mix";
import { activeLoop, type LoopRegion } from "./run";

const FADER_RAMP_S = 0.01;
const SIDE_RAMP_S = 0.005;
const FADE_S = 0.005;

interface LaneNodes {
  readonly sides: Readonly<Record<SideName, GainNode>>;
  readonly fader: GainNode;
}

export interface MixGraph {
  readonly lanes: Readonly<Record<LaneName, LaneNodes>>;
  readonly master: GainNode;
}

/** Builds the graph. Everything is silent until `setLevels`. */
export function buildMixGraph(context: BaseAudioContext, destination: AudioNode): MixGraph {
  const master = context.createGain();
  master.connect(destination);
  const laneNodes = (): LaneNodes => {
    const fader = new GainNode(context, { gain: 0 });
    fader.connect(master);
    const side = () => {
      const gain = new GainNode(context, { gain: 0 });
      gain.connect(fader);
      return gain;
    };
    return { sides: { main: side(), against: side() }, fader };
  };
  return {
    lanes: { bounce: laneNodes(), drums: laneNodes(), bass: laneNodes(), vocals: laneNodes(), other: laneNodes() },
    master,
  };
}

/** Levels of the graph. `matchingDb`: gains that bring both versions to one loudness. */
export interface Levels {
  readonly mix: Mix;
  readonly heard: Heard;
  readonly matchingDb: Readonly<Record<SideName, number>>;
}

/** Moves every gain to its level with a short ramp, which ends exactly on it. */
export function setLevels(graph: MixGraph, levels: Levels, now: number): void {
  const { mix, heard, matchingDb } = levels;
  rampTo(graph.master.gain, gainOfDb(mix.masterDb), now, FADER_RAMP_S);
  for (const lane of LANES) {
    const nodes = graph.lanes[lane];
    rampTo(nodes.fader.gain, laneGain(mix, heard.listening, lane), now, FADER_RAMP_S);
    for (const side of SIDES) {
      rampTo(nodes.sides[side].gain, side === heard.side ? gainOfDb(matchingDb[side]) : 0, now, SIDE_RAMP_S);
    }
  }
}

function rampTo(param: AudioParam, value: number, now: number, seconds: number): void {
  const from = param.value;
  param.cancelScheduledValues(now);
  param.setValueAtTime(from, now);
  param.linearRampToValueAtTime(value, now + seconds);
}

/** One file that plays. */
export interface Voice {
  readonly start: (when: number, fromFrame: number, loop: LoopRegion | undefined, fadeIn: boolean) => void;
  /** Stops exactly at `when`, or fades out from `when` on. */
  readonly stop: (when: number, fadeOut: boolean) => void;
}

/** A voice that is ready to start, so that all voices of a run can be started within microseconds. */
export function prepareVoice(context: BaseAudioContext, buffer: AudioBuffer, destination: AudioNode): Voice {
  const source = new AudioBufferSourceNode(context, { buffer });
  const envelope = new GainNode(context);
  source.connect(envelope).connect(destination);
  source.onended = () => envelope.disconnect();
  return {
    start(when, fromFrame, region, fadeIn) {
      const loop = activeLoop({ fromFrame, loop: region });
      if (loop !== undefined) {
        source.loop = true;
        source.loopStart = secondsOfFrame(loop.startFrame);
        source.loopEnd = secondsOfFrame(loop.endFrame);
      }
      if (fadeIn) {
        envelope.gain.setValueAtTime(0, when);
        envelope.gain.linearRampToValueAtTime(1, when + FADE_S);
      }
      source.start(when, secondsOfFrame(fromFrame));
    },
    stop(when, fadeOut) {
      if (!fadeOut) {
        source.stop(when);
        return;
      }
      envelope.gain.cancelScheduledValues(when);
      envelope.gain.setValueAtTime(1, when);
      envelope.gain.linearRampToValueAtTime(0, when + FADE_S);
      source.stop(when + FADE_S);
    },
  };
}

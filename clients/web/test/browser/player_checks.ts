// Checks that run inside a browser: what an OfflineAudioContext renders through the player's own graph, sample by sample.
// Each returns what it measured; the test beside this folder compares it.

import WaveSurfer from "wavesurfer.js";

import { WAVEFORM_HEIGHT } from "../../src/player/draw_wave";
import { SAMPLE_RATE_HZ } from "../../src/player/engine/audio_format";
import { BufferStore } from "../../src/player/engine/buffer_store";
import { ClickTrack } from "../../src/player/engine/click";
import { loadWav, type WavSource } from "../../src/player/engine/load_wav";
import { type Heard, type LaneName, type Mix, type SideName, STEMS, UNITY_MIX } from "../../src/player/engine/mix";
import { buildMixGraph, type MixGraph, setLevels } from "../../src/player/engine/mix_graph";
import { type PlayableFile, Playback } from "../../src/player/engine/playback";
import { PlayerEngine } from "../../src/player/engine/player_engine";
import type { Take } from "../../src/player/engine/player_state";
import { TempoGrid } from "../../src/player/engine/tempo_grid";

const FRAMES = 3 * SAMPLE_RATE_HZ;
const FADE_FRAMES = 300;
const LEAD_FRAMES = Math.round(0.05 * SAMPLE_RATE_HZ);
const EQUAL_LOUDNESS: Record<SideName, number> = { main: 0, against: 0 };
const STEMS_HEARD: Heard = { side: "main", listening: "stems" };
const FADER_DB = -6;

/** Integers of 24 bits that never repeat, so that one frame of delay shows. */
function noise(seed: number, peak: number): Int32Array {
  let state = seed;
  return Int32Array.from({ length: 2 * FRAMES }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.round((state / 2 ** 31 - 1) * peak);
  });
}

function sum(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from({ length: 2 * FRAMES }, (_, i) => parts.reduce((total, part) => total + (part[i] ?? 0), 0));
}

function wavOf(samples: Int32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + samples.length * 3);
  const view = new DataView(bytes.buffer);
  const text = (at: number, name: string) => bytes.set(new TextEncoder().encode(name), at);
  text(0, "RIFF");
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, SAMPLE_RATE_HZ, true);
  view.setUint16(34, 24, true);
  text(36, "data");
  view.setUint32(40, samples.length * 3, true);
  for (const [i, sample] of samples.entries()) {
    view.setUint16(44 + 3 * i, sample & 0xff_ff, true);
    view.setInt8(46 + 3 * i, sample >> 16);
  }
  return bytes;
}

function sourceOf(name: string, samples: Int32Array, onOpen: () => void = () => undefined): WavSource {
  const bytes = wavOf(samples);
  return {
    name,
    sha256: name,
    sizeBytes: bytes.length,
    open: async (signal) => {
      onOpen();
      signal.throwIfAborted();
      return new Response(bytes);
    },
  };
}

const loaded = (samples: Int32Array) =>
  loadWav(sourceOf("file", samples), new AbortController().signal, () => undefined);

interface Studio {
  readonly context: OfflineAudioContext;
  readonly graph: MixGraph;
  readonly playback: Playback;
  readonly stems: readonly PlayableFile[];
  readonly bounce: AudioBuffer;
}

async function studio(seconds: number): Promise<Studio> {
  const parts = STEMS.map((_, index) => noise(index + 1, 2 ** 20));
  const context = new OfflineAudioContext(2, seconds * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ);
  const graph = buildMixGraph(context, context.destination);
  const buffers = await Promise.all(parts.map(loaded));
  const stems = buffers.map((buffer, index): PlayableFile => ({ side: "main", lane: STEMS[index] ?? "other", buffer }));
  setLevels(graph, { mix: UNITY_MIX, heard: STEMS_HEARD, matchingDb: EQUAL_LOUDNESS }, 0);
  return { context, graph, playback: new Playback(context, graph), stems, bounce: await loaded(sum(parts)) };
}

/** The largest difference between what was rendered from `at` on and the frames of a file that should be there. */
function difference(rendered: AudioBuffer, file: AudioBuffer, at: number, frames: readonly number[], gain = 1): number {
  let largest = 0;
  for (const channel of [0, 1]) {
    const out = rendered.getChannelData(channel);
    const wanted = file.getChannelData(channel);
    for (const [i, frame] of frames.entries()) {
      largest = Math.max(largest, Math.abs((out[at + i] ?? 9) - gain * (wanted[frame] ?? 9)));
    }
  }
  return largest;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Stems from within the take: after the fade-in their sum is the bounce, frame for frame. */
export async function stemsAddUpToTheBounce(): Promise<number> {
  const { context, playback, stems, bounce } = await studio(1);
  playback.start(stems, 12_345, FRAMES, undefined);
  const rendered = await context.startRendering();
  return difference(rendered, bounce, LEAD_FRAMES + FADE_FRAMES, range(12_345 + FADE_FRAMES, 12_345 + 40_000));
}

/** Stems that join while others play are in step with them. */
export async function lateStemsJoinInStep(): Promise<number> {
  const { context, playback, stems, bounce } = await studio(2);
  playback.start(stems.slice(0, 1), 0, FRAMES, undefined);
  const paused = context.suspend(0.7).then(() => {
    playback.join(stems);
    return context.resume();
  });
  const rendered = await context.startRendering();
  await paused;
  const from = SAMPLE_RATE_HZ - LEAD_FRAMES;
  return difference(rendered, bounce, SAMPLE_RATE_HZ, range(from, from + 40_000));
}

/** The frames that a loop plays. */
function looped(from: number, start: number, end: number, count: number): number[] {
  return range(from, from + count).map((frame) => (frame < end ? frame : start + ((frame - end) % (end - start))));
}

/** Forty rounds of an odd loop: no frame is missing or doubled at any seam. */
export async function loopHasNoSeam(): Promise<number> {
  const { context, playback, stems, bounce } = await studio(3);
  const [start, end] = [10_007, 13_210];
  playback.start(stems, 0, FRAMES, { startFrame: start, endFrame: end });
  const rendered = await context.startRendering();
  return difference(rendered, bounce, LEAD_FRAMES, looped(0, start, end, 40 * (end - start)));
}

/** A loop that is set while it plays, and taken away again: what sounds goes on without a break. */
export async function loopChangesWithoutABreak(): Promise<number> {
  const { context, playback, stems, bounce } = await studio(3);
  const [start, end] = [30_000, 50_001];
  playback.start(stems, 0, FRAMES, undefined);
  const set = context.suspend(0.5).then(() => {
    playback.changeLoop(stems, { startFrame: start, endFrame: end });
    return context.resume();
  });
  const taken = context.suspend(1.6).then(() => {
    playback.changeLoop(stems, undefined);
    return context.resume();
  });
  const rendered = await context.startRendering();
  await Promise.all([set, taken]);
  const rounds = looped(0, start, end, Math.round(1.6 * SAMPLE_RATE_HZ));
  const last = rounds.at(-1) ?? 0;
  return difference(rendered, bounce, LEAD_FRAMES, [...rounds, ...range(last + 1, last + 40_000)]);
}

interface Switched {
  readonly before: number;
  readonly after: number;
  readonly quietest: number;
}

/** From one version to the other at the same position, the second one turned down: before, after, and no gap between. */
export async function versionsSwitchInPlace(): Promise<Switched> {
  const { context, graph, playback } = await studio(2);
  const [one, other] = [await loaded(noise(7, 2 ** 21)), await loaded(noise(8, 2 ** 21))];
  const files: PlayableFile[] = [
    { side: "main", lane: "bounce", buffer: one },
    { side: "against", lane: "bounce", buffer: other },
  ];
  const matchingDb = { main: 0, against: FADER_DB };
  const hear = (side: SideName) =>
    setLevels(graph, { mix: UNITY_MIX, heard: { side, listening: "bounce" }, matchingDb }, context.currentTime);
  hear("main");
  playback.start(files, 0, FRAMES, undefined);
  const at = Math.ceil((0.8 * SAMPLE_RATE_HZ) / 128) * 128;
  const switched = context.suspend(at / SAMPLE_RATE_HZ).then(() => {
    hear("against");
    return context.resume();
  });
  const rendered = await context.startRendering();
  await switched;
  const left = rendered.getChannelData(0).subarray(at - 500, at + 1000);
  const blocks = range(0, 15).map((block) => Math.max(...left.subarray(block * 100, block * 100 + 100).map(Math.abs)));
  const gain = 10 ** (FADER_DB / 20);
  return {
    before: difference(rendered, one, LEAD_FRAMES, range(0, at - LEAD_FRAMES)),
    after: difference(rendered, other, at + FADE_FRAMES, range(at + FADE_FRAMES - LEAD_FRAMES, at + 20_000), gain),
    quietest: Math.min(...blocks),
  };
}

/** Highest sample of the stems with a solo of the bass: that of the bass alone. */
export async function soloIsTheStemAlone(): Promise<number> {
  const { context, graph, playback, stems } = await studio(1);
  const mix: Mix = { ...UNITY_MIX, lanes: { ...UNITY_MIX.lanes, bass: { muted: false, soloed: true, faderDb: 0 } } };
  setLevels(graph, { mix, heard: STEMS_HEARD, matchingDb: EQUAL_LOUDNESS }, 0);
  playback.start(stems, 0, FRAMES, undefined);
  const rendered = await context.startRendering();
  const bass = stems[1];
  return bass === undefined ? 9 : difference(rendered, bass.buffer, LEAD_FRAMES, range(0, 40_000));
}

/** Frames at which clicks begin, from the start of the run. */
export async function clicksLieOnTheGrid(): Promise<number[]> {
  const context = new OfflineAudioContext(1, 1.4 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ);
  const grid = new TempoGrid({ points: [{ startSeconds: 0, bpm: 200, beatsPerBar: 4 }], firstDownbeatSeconds: 0 }, 3);
  new ClickTrack(context, context.destination).schedule(
    { startTime: 0.1, fromFrame: 0, frames: FRAMES, loop: undefined },
    grid.beats,
  );
  const samples = (await context.startRendering()).getChannelData(0);
  const begins: number[] = [];
  let silentFrames = 1000;
  for (const [frame, sample] of samples.entries()) {
    if (sample !== 0 && silentFrames >= 500) begins.push(frame - 0.1 * SAMPLE_RATE_HZ);
    silentFrames = sample === 0 ? silentFrames + 1 : 0;
  }
  return begins;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

interface Stored {
  readonly opened: number;
  readonly shared: boolean;
  readonly released: boolean;
  readonly keptThroughRelease: boolean;
}

/** Files of equal content are loaded once; what is not kept is released; the rest stays as it is. */
export async function storeSharesAndReleases(): Promise<Stored> {
  let opened = 0;
  const count = () => {
    opened += 1;
  };
  const samples = noise(3, 2 ** 20);
  const store = new BufferStore(() => undefined);
  const [a, again, b] = [sourceOf("a", samples, count), sourceOf("a", samples, count), sourceOf("b", samples, count)];
  store.keep([a, again, b]);
  await until(() => store.buffer("a") !== undefined && store.buffer("b") !== undefined);
  const before = store.buffer("a");
  store.keep([again]);
  return {
    opened,
    shared: store.buffer(again.sha256) === before,
    released: store.buffer("b") === undefined,
    keptThroughRelease: before !== undefined && before.length === FRAMES,
  };
}

interface Changed {
  readonly waited: boolean;
  readonly playing: boolean;
  readonly wentOn: boolean;
}

/** Another version is chosen while one plays: playback waits until its bounce is loaded, and goes on where it was. */
export async function anotherVersionGoesOn(): Promise<Changed> {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const late = sourceOf("late", noise(5, 2 ** 20));
  const bounces = [
    sourceOf("first", noise(4, 2 ** 20)),
    { ...late, open: (signal: AbortSignal) => opened.then(() => late.open(signal)) },
  ];
  const takes = bounces.map((bounce, index): Take => {
    const main = { version: index + 1, lufs: -16, files: { bounce } };
    return { frames: FRAMES, grid: undefined, main, against: undefined };
  });
  const engine = new PlayerEngine();
  const [first, second] = takes;
  if (first === undefined || second === undefined) throw new Error("expected two takes");
  engine.setTake(first);
  await until(() => engine.getState().heard !== undefined);
  engine.play();
  await until(() => engine.position() > 0.2);
  engine.setTake(second);
  const waited = !engine.getState().playing;
  const position = engine.position();
  open();
  await until(() => engine.position() > position + 0.1);
  const { playing } = engine.getState();
  engine.close();
  return { waited, playing, wentOn: position >= 0.2 };
}

interface Played {
  readonly positionMoved: boolean;
  readonly meterDb: number;
  readonly heldStill: boolean;
  readonly listening: string | undefined;
}

/** The whole engine on a real AudioContext: it plays, its meter shows the level, stems take over, and a pause holds. */
export async function enginePlays(): Promise<Played> {
  const half = (value: number) => new Int32Array(2 * FRAMES).fill(value);
  const lanes: [LaneName, number][] = [
    ["bounce", 2 ** 22],
    ...STEMS.map((stem): [LaneName, number] => [stem, 2 ** 20]),
  ];
  const files = Object.fromEntries(lanes.map(([lane, value]) => [lane, sourceOf(lane, half(value))]));
  const take: Take = { frames: FRAMES, grid: undefined, main: { version: 1, lufs: -16, files }, against: undefined };
  const engine = new PlayerEngine();
  engine.setTake(take);
  await until(() => engine.getState().heard !== undefined);
  engine.play();
  await until(() => engine.position() > 0.1 && engine.meters.read("master").db > -60);
  engine.listenTo("stems");
  await until(() => engine.getState().heard?.listening === "stems" && engine.meters.read("drums").db > -60);
  const meterDb = engine.meters.read("master").db;
  const listening = engine.getState().heard?.listening;
  engine.pause();
  const paused = engine.position();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const heldStill = engine.position() === paused;
  engine.close();
  return { positionMoved: paused > 0.1, meterDb, heldStill, listening };
}

/** SHA-256 in base64 of the style element that a waveform of the player has. */
export async function waveformStyleDigest(): Promise<string> {
  const container = document.createElement("div");
  document.body.append(container);
  const wave = WaveSurfer.create({ container, media: document.createElement("audio"), height: WAVEFORM_HEIGHT });
  const text = container.firstElementChild?.shadowRoot?.querySelector("style")?.textContent ?? "";
  wave.destroy();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

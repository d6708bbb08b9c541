// Runs in the page, bundled with the player's engine: what its graph renders of a take's files, sample by sample.

import { SAMPLE_RATE_HZ } from "../../src/player/engine/audio_format";
import { loadWav } from "../../src/player/engine/load_wav";
import { type LaneName, type Listening, STEMS, UNITY_MIX } from "../../src/player/engine/mix";
import { buildMixGraph, setLevels } from "../../src/player/engine/mix_graph";
import { Playback } from "../../src/player/engine/playback";

export interface EngineFacts {
  /** Largest difference between what the decoder gives and the integers in the file, over all files. */
  readonly decoded: number;
  /** The same for what sounds when one stem is soloed and what its file has, over all stems, at the same frame. */
  readonly soloed: number;
  /** The same for all stems together and their sum, and for the bounce and its file. */
  readonly mixed: number;
  readonly bounce: number;
  /** The same for all stems together and the bounce. */
  readonly sumAndBounce: number;
  /** The loudest sample of the bounce and of the quietest stem, so that silence proves nothing. */
  readonly peaks: readonly [number, number];
}

type Channels = readonly [Float32Array, Float32Array];
interface Rendered {
  readonly channels: Channels;
  readonly begin: number;
}

const LANES: readonly LaneName[] = ["bounce", ...STEMS];
const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
const DATA_CHUNK = 0x64617461; // "data"
const BYTES_PER_SAMPLE = 3;

/** `folder` has a WAV file of each lane. */
export async function checkEngine(folder: string): Promise<EngineFacts> {
  const buffers = new Map<LaneName, AudioBuffer>();
  let decoded = 0;
  for (const lane of LANES) {
    const bytes = await (await fetch(`${folder}/${lane}.wav`)).arrayBuffer();
    const open = async () => new Response(bytes);
    const source = { name: lane, sha256: lane, sizeBytes: bytes.byteLength, open };
    const buffer = await loadWav(source, new AbortController().signal, () => undefined);
    buffers.set(lane, buffer);
    decoded = Math.max(decoded, difference(channelsOf(buffer), integersOf(bytes)));
  }
  const bufferOf = (lane: LaneName): AudioBuffer => {
    const buffer = buffers.get(lane);
    if (buffer === undefined) throw new Error(`${lane} was not loaded`);
    return buffer;
  };
  const stems = await render(buffers, "stems");
  const bounce = await render(buffers, "bounce");
  let soloed = 0;
  for (const stem of STEMS) {
    const { channels, begin } = await render(buffers, "stems", stem);
    soloed = Math.max(soloed, difference(cut(channels, begin), channelsOf(bufferOf(stem))));
  }
  const sum = STEMS.map((stem) => channelsOf(bufferOf(stem))).reduce(add);
  return {
    decoded,
    soloed,
    mixed: difference(cut(stems.channels, stems.begin), sum),
    bounce: difference(cut(bounce.channels, bounce.begin), channelsOf(bufferOf("bounce"))),
    sumAndBounce: difference(cut(stems.channels, stems.begin), cut(bounce.channels, bounce.begin)),
    peaks: [
      peakOf(channelsOf(bufferOf("bounce"))),
      Math.min(...STEMS.map((stem) => peakOf(channelsOf(bufferOf(stem))))),
    ],
  };
}

/** What the engine's graph and playback make of the files, from before their first sample to behind their last. */
async function render(
  buffers: ReadonlyMap<LaneName, AudioBuffer>,
  listening: Listening,
  solo?: LaneName,
): Promise<Rendered> {
  const frames = buffers.get("bounce")?.length ?? 0;
  const context = new OfflineAudioContext(2, frames + SAMPLE_RATE_HZ, SAMPLE_RATE_HZ);
  const graph = buildMixGraph(context, context.destination);
  const lanes = { ...UNITY_MIX.lanes };
  if (solo !== undefined) lanes[solo] = { ...lanes[solo], soloed: true };
  const heard = { side: "main", listening } as const;
  setLevels(graph, { mix: { ...UNITY_MIX, lanes }, heard, matchingDb: { main: 0, against: 0 } }, 0);
  const playback = new Playback(context, graph);
  const files = [...buffers].map(([lane, buffer]) => ({ side: "main" as const, lane, buffer }));
  playback.start(files, 0, frames, undefined);
  const begin = Math.round((playback.run?.startTime ?? 0) * SAMPLE_RATE_HZ);
  return { channels: channelsOf(await context.startRendering()), begin };
}

function channelsOf(buffer: AudioBuffer): Channels {
  return [buffer.getChannelData(0), buffer.getChannelData(1)];
}

function cut([left, right]: Channels, begin: number): Channels {
  return [left.subarray(begin), right.subarray(begin)];
}

function add(one: Channels, other: Channels): Channels {
  const sum = (channel: 0 | 1) => one[channel].map((sample, frame) => sample + (other[channel][frame] ?? Number.NaN));
  return [sum(0), sum(1)];
}

/** Over the frames of the shorter. */
function difference(one: Channels, other: Channels): number {
  let largest = 0;
  for (const channel of [0, 1] as const) {
    const frames = Math.min(one[channel].length, other[channel].length);
    if (frames === 0) return Number.NaN;
    for (let frame = 0; frame < frames; frame += 1) {
      largest = Math.max(
        largest,
        Math.abs((one[channel][frame] ?? Number.NaN) - (other[channel][frame] ?? Number.NaN)),
      );
    }
  }
  return largest;
}

function peakOf(channels: Channels): number {
  const silence = new Float32Array(channels[0].length);
  return difference(channels, [silence, silence]);
}

/** The samples of a file of 24-bit stereo, read without the engine. */
function integersOf(bytes: ArrayBuffer): Channels {
  const view = new DataView(bytes);
  let at = RIFF_HEADER_BYTES;
  while (view.getUint32(at) !== DATA_CHUNK) {
    const size = view.getUint32(at + 4, true);
    at += CHUNK_HEADER_BYTES + size + (size % 2);
  }
  const frames = view.getUint32(at + 4, true) / (2 * BYTES_PER_SAMPLE);
  const first = at + CHUNK_HEADER_BYTES;
  const channel = (number: number) =>
    Float32Array.from({ length: frames }, (_, frame) => {
      const sample = first + (2 * frame + number) * BYTES_PER_SAMPLE;
      return ((view.getInt8(sample + 2) << 16) | view.getUint16(sample, true)) / 2 ** 23;
    });
  return [channel(0), channel(1)];
}

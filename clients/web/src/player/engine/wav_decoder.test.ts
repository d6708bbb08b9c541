import { describe, expect, test } from "vitest";

import { WavDecoder, WavError } from "./wav_decoder";

interface FileOptions {
  readonly rate?: number;
  readonly bits?: number;
  readonly channels?: number;
  readonly before?: readonly (readonly [string, number])[];
  readonly after?: number;
  readonly frames?: number;
}

/** A WAV file with these 24-bit samples, left and right in turn. */
function wav(samples: readonly number[], options: FileOptions = {}): Uint8Array {
  const { rate = 44_100, bits = 24, channels = 2, before = [], after = 0, frames = samples.length / 2 } = options;
  const bytes: number[] = [];
  const text = (name: string) => bytes.push(...[...name].map((letter) => letter.charCodeAt(0)));
  const word = (value: number, size: number) => {
    for (let i = 0; i < size; i++) bytes.push((value >> (8 * i)) & 255);
  };
  text("RIFF");
  word(0, 4);
  text("WAVE");
  text("fmt ");
  word(16, 4);
  word(1, 2);
  word(channels, 2);
  word(rate, 4);
  word((rate * channels * bits) / 8, 4);
  word((channels * bits) / 8, 2);
  word(bits, 2);
  for (const [name, size] of before) {
    text(name);
    word(size, 4);
    for (let i = 0; i < size + (size % 2); i++) bytes.push(7);
  }
  text("data");
  word(frames * 6, 4);
  for (const sample of samples) word(sample, 3);
  for (let i = 0; i < after; i++) bytes.push(99);
  return Uint8Array.from(bytes);
}

function decode(file: Uint8Array, blockSize: number): number[][] {
  let channels: Float32Array[] = [];
  const decoder = new WavDecoder((frames) => {
    channels = [new Float32Array(frames), new Float32Array(frames)];
    return channels;
  });
  for (let at = 0; at < file.length; at += blockSize) decoder.push(file.subarray(at, at + blockSize));
  decoder.finish();
  return channels.map((channel) => [...channel]);
}

const SAMPLES = [0, 1, -1, 8_388_607, -8_388_608, 4_194_304, 123_456, -654_321];
const DECODED = [
  [0, -1 / 2 ** 23, -1, 123_456 / 2 ** 23],
  [1 / 2 ** 23, 8_388_607 / 2 ** 23, 0.5, -654_321 / 2 ** 23],
];

describe("WavDecoder", () => {
  test.each([1, 2, 5, 6, 7, 13, 44, 4096])(
    "gives every 24-bit sample exactly, whatever the blocks (%i bytes)",
    (size) => {
      expect(decode(wav(SAMPLES, { before: [["bext", 603]], after: 11 }), size)).toEqual(DECODED);
    },
  );

  test("skips chunks of odd length with their padding", () => {
    expect(
      decode(
        wav(SAMPLES, {
          before: [
            ["LIST", 3],
            ["bext", 1],
          ],
        }),
        10,
      ),
    ).toEqual(DECODED);
  });

  test.each([{ rate: 48_000 }, { bits: 16 }, { channels: 1 }])("refuses another format: %o", (options) => {
    expect(() => decode(wav(SAMPLES, options), 4096)).toThrow(WavError);
  });

  test("refuses a file that ends early", () => {
    const file = wav(SAMPLES);
    expect(() => decode(file.subarray(0, -1), 16)).toThrow("expected 4 frames, got 3");
    expect(() => decode(file.subarray(0, 20), 16)).toThrow("ends before its samples");
  });

  test("refuses what is no WAV file", () => {
    expect(() => decode(new TextEncoder().encode("<!doctype html><html></html>"), 16)).toThrow("RIFF");
  });

  test("does not search for samples without end", () => {
    const endless = wav([], { before: [["junk", 3 << 20]] });
    expect(() => decode(endless.subarray(0, 2 << 20), 1 << 19)).toThrow("within the first");
  });
});

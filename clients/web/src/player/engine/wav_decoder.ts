// Decodes a 24-bit WAV file block by block, so that its bytes are never in memory as a whole.

import { BYTES_PER_FRAME, CHANNELS, SAMPLE_RATE_HZ } from "./audio_format";

/** Chunks before the samples may take this much; those of the services take less than 10 kB. */
const MAX_HEADER_BYTES = 1 << 20;
const PCM = 1;
const FULL_SCALE = 0x80_00_00;

/** The file is not what the services store. */
export class WavError extends Error {}

/** Where the samples of a file begin, and how many there are. */
interface DataChunk {
  readonly offset: number;
  readonly frames: number;
}

function textAt(view: DataView, offset: number): string {
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + offset, 4));
}

function checkFormat(view: DataView, body: number): void {
  const format = {
    tag: view.getUint16(body, true),
    channels: view.getUint16(body + 2, true),
    rate: view.getUint32(body + 4, true),
    bits: view.getUint16(body + 14, true),
  };
  if (format.tag === PCM && format.channels === CHANNELS && format.rate === SAMPLE_RATE_HZ && format.bits === 24)
    return;
  throw new WavError(
    `expected 24-bit PCM, 2 channels, 44100 Hz, got format ${format.tag}, ${format.bits} bits, ${format.channels} channels, ${format.rate} Hz`,
  );
}

/** The data chunk of a file's beginning; undefined if more bytes are needed. Throws WavError. */
function findData(head: Uint8Array): DataChunk | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.byteLength < 12) return undefined;
  if (textAt(view, 0) !== "RIFF" || textAt(view, 8) !== "WAVE") throw new WavError("expected a RIFF file of type WAVE");
  let formatKnown = false;
  let at = 12;
  while (at + 8 <= view.byteLength) {
    const name = textAt(view, at);
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (name === "data") {
      if (!formatKnown) throw new WavError("expected a fmt chunk before the data chunk");
      if (size % BYTES_PER_FRAME !== 0) throw new WavError(`expected whole frames, got ${size} bytes of samples`);
      return { offset: body, frames: size / BYTES_PER_FRAME };
    }
    if (name === "fmt ") {
      if (size < 16) throw new WavError(`expected a fmt chunk of 16 bytes or more, got ${size}`);
      if (body + 16 > view.byteLength) return undefined;
      checkFormat(view, body);
      formatKnown = true;
    }
    at = body + size + (size % 2);
  }
  return undefined;
}

/** Decodes one file into the channels that `allocate` returns for its number of frames. */
export class WavDecoder {
  readonly #allocate: (frames: number) => readonly Float32Array[];
  #head: Uint8Array | undefined = new Uint8Array(0);
  #left = new Float32Array(0);
  #right = new Float32Array(0);
  #frames = 0;
  #done = 0;
  readonly #partial = new Uint8Array(BYTES_PER_FRAME);
  #partialBytes = 0;

  constructor(allocate: (frames: number) => readonly Float32Array[]) {
    this.#allocate = allocate;
  }

  /** The next bytes of the file. Bytes after the samples are skipped. Throws WavError. */
  push(bytes: Uint8Array): void {
    if (this.#head === undefined) {
      this.#samples(bytes);
      return;
    }
    const head = new Uint8Array(this.#head.length + bytes.length);
    head.set(this.#head);
    head.set(bytes, this.#head.length);
    const data = findData(head);
    if (data === undefined) {
      if (head.length > MAX_HEADER_BYTES)
        throw new WavError(`expected samples within the first ${MAX_HEADER_BYTES} bytes`);
      this.#head = head;
      return;
    }
    this.#head = undefined;
    this.#frames = data.frames;
    const [left, right] = this.#allocate(data.frames);
    if (left?.length !== data.frames || right?.length !== data.frames)
      throw new WavError("expected two channels of that length");
    this.#left = left as Float32Array<ArrayBuffer>;
    this.#right = right as Float32Array<ArrayBuffer>;
    this.#samples(head.subarray(data.offset));
  }

  /** Throws WavError unless the whole file has come. */
  finish(): void {
    if (this.#head !== undefined) throw new WavError("the file ends before its samples");
    if (this.#done < this.#frames) throw new WavError(`expected ${this.#frames} frames, got ${this.#done}`);
  }

  #samples(bytes: Uint8Array): void {
    let at = 0;
    while (this.#partialBytes > 0 && this.#partialBytes < BYTES_PER_FRAME && at < bytes.length) {
      this.#partial[this.#partialBytes++] = bytes[at++] ?? 0;
    }
    if (this.#partialBytes === BYTES_PER_FRAME) {
      this.#partialBytes = 0;
      this.#decode(this.#partial, 0, 1);
    }
    const whole = Math.floor((bytes.length - at) / BYTES_PER_FRAME);
    this.#decode(bytes, at, whole);
    at += whole * BYTES_PER_FRAME;
    if (this.#partialBytes === 0 && this.#done < this.#frames) {
      this.#partial.set(bytes.subarray(at));
      this.#partialBytes = bytes.length - at;
    }
  }

  #decode(bytes: Uint8Array, from: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    const end = Math.min(this.#done + count, this.#frames);
    let at = from;
    for (let frame = this.#done; frame < end; frame++) {
      left[frame] = sampleAt(bytes, at) / FULL_SCALE;
      right[frame] = sampleAt(bytes, at + 3) / FULL_SCALE;
      at += BYTES_PER_FRAME;
    }
    this.#done = end;
  }
}

function sampleAt(bytes: Uint8Array, at: number): number {
  return (((bytes[at + 2] ?? 0) << 24) >> 8) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at] ?? 0);
}

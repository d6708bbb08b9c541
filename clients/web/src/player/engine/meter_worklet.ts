// Runs on the audio thread: the highest sample of each input since the last report.

declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  abstract process(inputs: readonly (readonly Float32Array[])[]): boolean;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** 12 blocks of 128 frames: 35 ms. */
const BLOCKS_PER_REPORT = 12;

class PeakMeter extends AudioWorkletProcessor {
  #peaks = new Float32Array(0);
  #blocks = 0;

  process(inputs: readonly (readonly Float32Array[])[]): boolean {
    if (this.#peaks.length !== inputs.length) this.#peaks = new Float32Array(inputs.length);
    for (const [index, channels] of inputs.entries()) {
      let peak = this.#peaks[index] ?? 0;
      for (const samples of channels) {
        for (const sample of samples) {
          const size = Math.abs(sample);
          if (size > peak) peak = size;
        }
      }
      this.#peaks[index] = peak;
    }
    this.#blocks += 1;
    if (this.#blocks === BLOCKS_PER_REPORT) {
      this.port.postMessage(this.#peaks);
      this.#peaks.fill(0);
      this.#blocks = 0;
    }
    return true;
  }
}

registerProcessor("peak-meter", PeakMeter);

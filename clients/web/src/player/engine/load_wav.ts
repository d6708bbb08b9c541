// Loads one WAV file into an AudioBuffer while it arrives.

import { CHANNELS, SAMPLE_RATE_HZ } from "./audio_format";
import { WavDecoder, WavError } from "./wav_decoder";

/** A file that can be loaded. Files of equal SHA-256 are the same file. */
export interface WavSource {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Requests its bytes, and no others. */
  readonly open: (signal: AbortSignal) => Promise<Response>;
}

/**
 * The samples of a file. `onFraction` hears 0 to 1. Beside the buffer itself, only one block of the file is in memory. Its length is
 * limited by the size that the service stated, so that a wrong header cannot allocate more.
 */
export async function loadWav(
  source: WavSource,
  signal: AbortSignal,
  onFraction: (fraction: number) => void,
): Promise<AudioBuffer> {
  const response = await source.open(signal);
  if (response.body === null) throw new WavError(`${source.name}: the answer has no body`);
  const buffers: AudioBuffer[] = [];
  const decoder = new WavDecoder((frames) => {
    if (frames === 0) throw new WavError(`${source.name} has no samples`);
    if (frames * 6 > source.sizeBytes) throw new WavError(`${source.name} states more samples than its size allows`);
    const buffer = new AudioBuffer({ length: frames, numberOfChannels: CHANNELS, sampleRate: SAMPLE_RATE_HZ });
    buffers.push(buffer);
    return [buffer.getChannelData(0), buffer.getChannelData(1)];
  });
  const reader = response.body.getReader();
  let received = 0;
  for (let block = await reader.read(); !block.done; block = await reader.read()) {
    decoder.push(block.value);
    received += block.value.length;
    onFraction(Math.min(1, received / source.sizeBytes));
  }
  decoder.finish();
  const buffer = buffers[0];
  if (buffer === undefined) throw new WavError(`${source.name} has no samples`);
  return buffer;
}

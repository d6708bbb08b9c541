// The one audio format of the services' files: 44100 Hz, stereo, 24-bit PCM.

export const SAMPLE_RATE_HZ = 44_100;
export const CHANNELS = 2;
export const BYTES_PER_FRAME = 6;

/**
 * Seconds that stand for a frame in calls of Web Audio: never later than the frame, and by less than a millionth of a frame earlier.
 * A loop end that rounds up would play one frame more in each round.
 */
export function secondsOfFrame(frame: number): number {
  const seconds = frame / SAMPLE_RATE_HZ;
  return seconds * SAMPLE_RATE_HZ > frame ? seconds * (1 - Number.EPSILON) : seconds;
}

/** The frame nearest to a time. */
export function frameOfSeconds(seconds: number): number {
  return Math.round(seconds * SAMPLE_RATE_HZ);
}

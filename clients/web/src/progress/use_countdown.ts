import { useEffect, useState } from "react";

interface Estimate {
  readonly key: bigint;
  readonly endsAtMs: number;
}

/** Seconds left, counted down between estimates. `key`: which estimate it is. undefined while unknown. */
export function useCountdown(secondsLeft: number | undefined, key: bigint): number | undefined {
  const [nowMs, setNowMs] = useState(() => Date.now());
  const [estimate, setEstimate] = useState<Estimate>();
  if (secondsLeft !== undefined && estimate?.key !== key) {
    setEstimate({ key, endsAtMs: Date.now() + secondsLeft * 1000 });
  }
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (secondsLeft === undefined || estimate === undefined) return undefined;
  return Math.max(0, Math.min(secondsLeft, (estimate.endsAtMs - nowMs) / 1000));
}

// What moves while a take plays is drawn with the display, past React.

import { useEffect, useRef, useState } from "react";

/** With reduced motion: this many milliseconds between two drawings. */
const CALM_MS = 250;

/** Calls `draw` for each frame of the display while `active`, and once after each rendering. */
export function useFrame(active: boolean, draw: () => void): void {
  const latest = useRef(draw);
  useEffect(() => {
    latest.current = draw;
    draw();
  });
  useEffect(() => {
    if (!active) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    let drawn = 0;
    let request = requestAnimationFrame(function step(now) {
      if (!calm.matches || now - drawn >= CALM_MS) {
        drawn = now;
        latest.current();
      }
      request = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(request);
  }, [active]);
}

/** `active`, and true for a while after it: what falls back to rest is drawn until it rests. */
export function useLinger(active: boolean, milliseconds: number): boolean {
  const [lingering, setLingering] = useState(active);
  useEffect(() => {
    if (active) setLingering(true);
    const timer = active ? undefined : setTimeout(() => setLingering(false), milliseconds);
    return () => clearTimeout(timer);
  }, [active, milliseconds]);
  return active || lingering;
}

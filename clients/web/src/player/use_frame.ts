// What moves while a take plays is drawn with the display, past React.

import { useEffect, useRef } from "react";

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

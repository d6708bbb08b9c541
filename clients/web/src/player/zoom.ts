import { type RefObject, useEffect } from "react";

import { SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import type { TimelineView } from "./timeline_view";

const WHEEL_SPEED = 0.008;
const FIRST_ZOOM = 3;
const STEP = 1.6;

/** One step of zoom about the playhead, or about the middle if the playhead is out of sight. */
export function zoomAtPlayhead(engine: PlayerEngine, view: TimelineView, direction: "in" | "out"): void {
  const { width } = view.get();
  const playhead = view.pixelOf(engine.position());
  view.zoom(direction === "in" ? STEP : 1 / STEP, playhead >= 0 && playhead <= width ? playhead : width / 2);
}

/** From the whole take to the loop, or to the playhead without one; from there back to the whole take. */
export function zoomToLoopOrFit(engine: PlayerEngine, view: TimelineView): void {
  const { loop, loopOn } = engine.getState();
  if (!view.fitted) view.fit();
  else if (loopOn) view.show(loop.startFrame / SAMPLE_RATE_HZ, loop.endFrame / SAMPLE_RATE_HZ);
  else view.zoom(FIRST_ZOOM, view.pixelOf(engine.position()));
}

/** Zooms the view by Ctrl and wheel, which is also what a pinch on a touchpad sends, and by two fingers on a screen. */
export function useZoomGestures(element: RefObject<HTMLElement | null>, view: TimelineView): void {
  useEffect(() => {
    const area = element.current;
    if (area === null) return;
    let spread: number | undefined;
    const pixelOf = (clientX: number) => clientX - (area.getBoundingClientRect().right - view.get().width);
    const onWheel = (event: WheelEvent) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      view.zoom(Math.exp(-event.deltaY * WHEEL_SPEED), pixelOf(event.clientX));
    };
    const onTouchMove = (event: TouchEvent) => {
      const [a, b] = event.touches;
      if (a === undefined || b === undefined) return;
      event.preventDefault();
      const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (spread !== undefined && spread > 0) view.zoom(now / spread, pixelOf((a.clientX + b.clientX) / 2));
      spread = now;
    };
    const onTouchEnd = () => {
      spread = undefined;
    };
    area.addEventListener("wheel", onWheel, { passive: false });
    area.addEventListener("touchmove", onTouchMove, { passive: false });
    area.addEventListener("touchend", onTouchEnd);
    return () => {
      area.removeEventListener("wheel", onWheel);
      area.removeEventListener("touchmove", onTouchMove);
      area.removeEventListener("touchend", onTouchEnd);
    };
  }, [element, view]);
}

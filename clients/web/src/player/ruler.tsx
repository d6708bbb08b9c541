// The ruler above the lanes: a click moves the playhead, dragging sets the loop from bar line to bar line.

import { type KeyboardEvent, type PointerEvent, useRef, useSyncExternalStore } from "react";

import { en } from "../messages/en";
import { frameOfSeconds, SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import type { TempoGrid } from "./engine/tempo_grid";
import { formatTime } from "./format";
import style from "./ruler.module.css";
import { visibleTicks } from "./ticks";
import type { TimelineView } from "./timeline_view";
import { useFrame } from "./use_frame";
import { usePlayerState } from "./use_player";

const DRAG_PX = 4;
const HANDLE_PX = 10;

interface RulerProps {
  readonly engine: PlayerEngine;
  readonly grid: TempoGrid | undefined;
  readonly view: TimelineView;
  readonly seconds: number;
}

/** Where a drag began: the end of the region that stays where it is, and whether the pointer has moved. */
interface Drag {
  readonly fromX: number;
  readonly anchor: number;
  moved: boolean;
}

/** Where a key moves the playhead; undefined for other keys. */
function targetOf(key: string, step: (direction: 1 | -1, unit?: "bar") => number, seconds: number): number | undefined {
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return step(-1);
    case "ArrowRight":
    case "ArrowUp":
      return step(1);
    case "PageDown":
      return step(-1, "bar");
    case "PageUp":
      return step(1, "bar");
    case "Home":
      return 0;
    case "End":
      return seconds;
    default:
      return undefined;
  }
}

export function Ruler({ engine, grid, view, seconds }: RulerProps) {
  const viewport = useSyncExternalStore(view.subscribe, view.get);
  const { loop, loopOn, playing } = usePlayerState(engine);
  const slider = useRef<HTMLDivElement>(null);
  const drag = useRef<Drag>(undefined);
  const { lines, beats } = visibleTicks(grid, viewport);
  const start = loop.startFrame / SAMPLE_RATE_HZ;
  const end = loop.endFrame / SAMPLE_RATE_HZ;

  useFrame(playing, () => {
    const now = engine.position();
    const element = slider.current;
    // Once a second is enough for those who hear it read out.
    const shown = playing ? Math.floor(now) : now;
    if (element === null || element.getAttribute("aria-valuenow") === String(shown)) return;
    const at = grid?.at(shown);
    const time = formatTime(shown);
    element.setAttribute("aria-valuenow", String(shown));
    element.setAttribute("aria-valuetext", at === undefined ? time : en.player.positionText(at.bar, at.beat, time));
  });

  const xOf = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const snapped = (at: number) => grid?.nearestBar(at) ?? Math.round(at);

  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return;
    const x = xOf(event);
    const nearStart = loopOn && Math.abs(x - view.pixelOf(start)) <= HANDLE_PX;
    const nearEnd = loopOn && Math.abs(x - view.pixelOf(end)) <= HANDLE_PX;
    const anchor = nearEnd ? start : nearStart ? end : snapped(view.secondsAt(x));
    drag.current = { fromX: x, anchor, moved: false };
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const active = drag.current;
    const x = xOf(event);
    if (active === undefined || (!active.moved && Math.abs(x - active.fromX) < DRAG_PX)) return;
    active.moved = true;
    const at = snapped(view.secondsAt(x));
    const [from, to] = at < active.anchor ? [at, active.anchor] : [active.anchor, at];
    if (to > from) engine.setLoop(true, { startFrame: frameOfSeconds(from), endFrame: frameOfSeconds(to) });
  };
  const onPointerUp = (event: PointerEvent<HTMLDivElement>) => {
    if (drag.current?.moved === false) engine.seek(frameOfSeconds(view.secondsAt(xOf(event))));
    drag.current = undefined;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const now = engine.position();
    const unit = event.shiftKey ? "bar" : "beat";
    const step = (direction: 1 | -1, wanted: "bar" | "beat" = unit) =>
      grid?.step(now, direction, wanted) ?? now + direction;
    const target = targetOf(event.key, step, seconds);
    if (target === undefined) return;
    event.preventDefault();
    engine.seek(frameOfSeconds(target));
  };

  return (
    <div
      ref={slider}
      className={style.ruler}
      role="slider"
      tabIndex={0}
      aria-label={en.player.position}
      aria-valuemin={0}
      aria-valuemax={seconds}
      aria-valuenow={0}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={onPointerUp}
      onKeyDown={onKeyDown}
    >
      <div
        className={loopOn ? style.braces : style.bracesOff}
        style={{ left: view.pixelOf(start), width: (end - start) * viewport.pixelsPerSecond }}
      />
      {beats.map((x) => (
        <i key={x} className={style.beat} style={{ left: x }} />
      ))}
      {lines.map(({ x, label }) => (
        <span key={x} className={style.line} style={{ left: x }}>
          {label}
        </span>
      ))}
      <div className={style.head} data-playhead="" />
    </div>
  );
}

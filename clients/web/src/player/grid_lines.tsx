import { useSyncExternalStore } from "react";

import type { TempoGrid } from "./engine/tempo_grid";
import style from "./lane.module.css";
import { visibleTicks } from "./ticks";
import type { TimelineView } from "./timeline_view";

interface GridLinesProps {
  readonly grid: TempoGrid | undefined;
  readonly view: TimelineView;
}

/** Bars and beats behind a waveform. */
export function GridLines({ grid, view }: GridLinesProps) {
  const { lines, beats } = visibleTicks(grid, useSyncExternalStore(view.subscribe, view.get));
  const path = (xs: readonly number[]) => xs.map((x) => `M${Math.round(x) + 0.5} 0V400`).join("");
  return (
    <svg className={style.grid} aria-hidden="true">
      <path className={style.gridBeats} d={path(beats)} />
      <path className={style.gridBars} d={path(lines.map(({ x }) => x))} />
    </svg>
  );
}

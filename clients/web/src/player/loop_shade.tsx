import { useSyncExternalStore } from "react";

import { SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import style from "./lane.module.css";
import type { TimelineView } from "./timeline_view";
import { usePlayerState } from "./use_player";

interface LoopShadeProps {
  readonly engine: PlayerEngine;
  readonly view: TimelineView;
}

/** The looped part of a lane. */
export function LoopShade({ engine, view }: LoopShadeProps) {
  const { pixelsPerSecond } = useSyncExternalStore(view.subscribe, view.get);
  const { loop, loopOn } = usePlayerState(engine);
  if (!loopOn) return null;
  const start = loop.startFrame / SAMPLE_RATE_HZ;
  const end = loop.endFrame / SAMPLE_RATE_HZ;
  return <div className={style.looped} style={{ left: view.pixelOf(start), width: (end - start) * pixelsPerSecond }} />;
}

import { frameOfSeconds } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import type { TempoGrid } from "./engine/tempo_grid";

/** Without a grid: 5 s for a bar, 1 s for a beat. */
const SECONDS = { bar: 5, beat: 1 } as const;

/** Moves the playhead by a bar or a beat, to the line of the grid. */
export function stepBy(
  engine: PlayerEngine,
  grid: TempoGrid | undefined,
  direction: 1 | -1,
  unit: "bar" | "beat",
): void {
  const now = engine.position();
  engine.seek(frameOfSeconds(grid?.step(now, direction, unit) ?? now + direction * SECONDS[unit]));
}

import { useState } from "react";

import { en } from "../messages/en";
import { frameOfSeconds, SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import type { TempoGrid } from "./engine/tempo_grid";
import style from "./transport.module.css";
import { usePlayerState } from "./use_player";

interface LoopFieldsProps {
  readonly engine: PlayerEngine;
  readonly grid: TempoGrid | undefined;
}

/** The loop in numbers: bars, the last one included; seconds without a grid. */
export function LoopFields({ engine, grid }: LoopFieldsProps) {
  const { loop } = usePlayerState(engine);
  const start = loop.startFrame / SAMPLE_RATE_HZ;
  const end = loop.endFrame / SAMPLE_RATE_HZ;
  const set = (from: number, to: number) => {
    if (to > from) engine.setLoop(true, { startFrame: frameOfSeconds(from), endFrame: frameOfSeconds(to) });
  };
  if (grid === undefined || grid.bars.length === 0) {
    return (
      <span className={style.fields}>
        <NumberField
          label={en.player.loopFromSecond}
          value={Number(start.toFixed(2))}
          onChange={(value) => set(value, end)}
        />
        {en.player.loopTo}
        <NumberField
          label={en.player.loopToSecond}
          value={Number(end.toFixed(2))}
          onChange={(value) => set(start, value)}
        />
        {en.player.seconds}
      </span>
    );
  }
  const first = Math.max(1, grid.at(start + 0.001).bar);
  const last = Math.max(first, grid.at(end - 0.02).bar);
  return (
    <span className={style.fields}>
      {en.player.bars}
      <NumberField
        label={en.player.loopFromBar}
        value={first}
        onChange={(bar) => set(grid.secondsOfBar(bar), Math.max(end, grid.secondsOfBar(bar + 1)))}
      />
      {en.player.loopTo}
      <NumberField
        label={en.player.loopToBar}
        value={last}
        onChange={(bar) => set(Math.min(start, grid.secondsOfBar(bar)), grid.secondsOfBar(bar + 1))}
      />
    </span>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly value: number;
  readonly onChange: (value: number) => void;
}

/** A number that is used as soon as it is one. While it is typed, the field shows what was typed. */
function NumberField({ label, value, onChange }: NumberFieldProps) {
  const [typed, setTyped] = useState<string>();
  return (
    <input
      type="number"
      min={0}
      aria-label={label}
      value={typed ?? value}
      onChange={({ currentTarget }) => {
        setTyped(currentTarget.value);
        if (Number.isFinite(currentTarget.valueAsNumber)) onChange(currentTarget.valueAsNumber);
      }}
      onBlur={() => setTyped(undefined)}
    />
  );
}

import { useRef, useState } from "react";

import { en } from "../messages/en";
import type { MeterName } from "./engine/meters";
import { METER_FLOOR_DB } from "./engine/peak_hold";
import type { PlayerEngine } from "./engine/player_engine";
import { formatDecibels } from "./format";
import style from "./meter.module.css";
import { useFrame, useLinger } from "./use_frame";
import { usePlayerState } from "./use_player";

/** From full scale to the floor, with the time that a peak is held. */
const REST_MS = 4500;

interface MeterProps {
  readonly engine: PlayerEngine;
  readonly name: MeterName;
  readonly label: string;
}

const shareOf = (db: number) => Math.min(1, Math.max(0, 1 - db / METER_FLOOR_DB));

/** Peak level with hold in dBFS, and a mark that stays once full scale was reached. */
export function Meter({ engine, name, label }: MeterProps) {
  const bar = useRef<HTMLDivElement>(null);
  const hold = useRef<HTMLDivElement>(null);
  const text = useRef<HTMLSpanElement>(null);
  const [clipped, setClipped] = useState(false);

  useFrame(useLinger(usePlayerState(engine).playing, REST_MS), () => {
    const reading = engine.meters.read(name);
    bar.current?.style.setProperty("transform", `scaleX(${shareOf(reading.db)})`);
    hold.current?.style.setProperty("transform", `translateX(${(shareOf(reading.heldDb) - 1) * 100}%)`);
    const shown = reading.heldDb > METER_FLOOR_DB ? formatDecibels(reading.heldDb) : "–";
    if (text.current !== null && text.current.textContent !== shown) text.current.textContent = shown;
    if (reading.clipped !== clipped) setClipped(reading.clipped);
  });

  return (
    <div className={style.meter}>
      <div className={style.track} aria-hidden="true">
        <div ref={bar} className={style.level} />
        <div ref={hold} className={style.hold} />
      </div>
      <span ref={text} className={style.text} aria-hidden="true" />
      {clipped && (
        <button
          type="button"
          className={style.clip}
          aria-label={en.player.resetClip(label)}
          title={en.player.resetClip(label)}
          onClick={() => engine.meters.reset(name)}
        >
          {en.player.clipped}
        </button>
      )}
    </div>
  );
}

import { type KeyboardEvent, useState } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import style from "./section.module.css";
import { addTap, tappedBpm } from "./tap_tempo";

interface TapTempoButtonProps {
  /** Called with the tempo from the second tap on. */
  readonly onTempo: (bpm: number) => void;
}

/** Tap in time: by pointer, by T, Space or Enter. */
export function TapTempoButton({ onTempo }: TapTempoButtonProps) {
  const [taps, setTaps] = useState<readonly number[]>([]);
  const bpm = tappedBpm(taps);

  const tap = (timeMs: number): void => {
    const next = addTap(taps, timeMs);
    setTaps(next);
    const tempo = tappedBpm(next);
    if (tempo !== undefined) onTempo(tempo);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const isTap = event.key.toLowerCase() === "t" || event.key === " " || event.key === "Enter";
    if (!isTap || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // no click follows, so that a key counts once
    if (!event.repeat) tap(event.timeStamp);
  };

  return (
    <div>
      <Button
        className={style.tap}
        aria-describedby="tap-hint"
        onPointerDown={(event) => event.button === 0 && tap(event.timeStamp)}
        // A click without a pointer comes from assistive technology.
        onClick={(event) => event.detail === 0 && tap(event.timeStamp)}
        onKeyDown={onKeyDown}
      >
        {en.brief.tap}
        {taps.length > 0 && (
          <span className="numbers">{bpm === undefined ? en.brief.tapAgain : en.brief.tapped(bpm)}</span>
        )}
      </Button>
      <p id="tap-hint" className={style.note}>
        {en.brief.tapHint}
      </p>
    </div>
  );
}

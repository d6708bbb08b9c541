import { en } from "../messages/en";
import { FADER_DB } from "./engine/mix";
import style from "./fader.module.css";
import { formatGain } from "./format";

interface FaderProps {
  readonly label: string;
  readonly db: number;
  readonly onChange: (db: number) => void;
}

/** A level in dB. A double click sets it to 0. */
export function Fader({ label, db, onChange }: FaderProps) {
  const silent = db <= FADER_DB.min;
  return (
    <div className={style.fader}>
      <input
        type="range"
        {...FADER_DB}
        value={db}
        aria-label={label}
        aria-valuetext={silent ? en.player.silent : en.player.decibels(formatGain(db))}
        onChange={(event) => onChange(event.currentTarget.valueAsNumber)}
        onDoubleClick={() => onChange(0)}
      />
      <span aria-hidden="true">{silent ? en.player.off : formatGain(db)}</span>
    </div>
  );
}

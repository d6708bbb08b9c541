import style from "./progress_bar.module.css";

interface ProgressBarProps {
  readonly label: string;
  /** 0 to 1; undefined while it is not known. */
  readonly fraction: number | undefined;
  /** Beside the label, such as the stage. */
  readonly detail?: string;
  /** At the end of the line, such as percent and time left. */
  readonly figures?: string;
}

/** A labelled bar. */
export function ProgressBar({ label, fraction, detail = "", figures = "" }: ProgressBarProps) {
  return (
    <div className={style.track}>
      <div className={style.line}>
        <span>
          <strong>{label}</strong> {detail !== "" && <span className="muted">{detail}</span>}
        </span>
        <span className="numbers">{figures}</span>
      </div>
      <progress
        className={style.bar}
        aria-label={label}
        max={1}
        {...(fraction === undefined ? {} : { value: fraction })}
      />
    </div>
  );
}

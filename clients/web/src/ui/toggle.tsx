import { type ReactNode, useId } from "react";

import { controlAttributes } from "./control_attributes";
import { FieldNotes } from "./field";
import style from "./toggle.module.css";

interface ToggleProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly problem?: string | undefined;
  readonly checked: boolean;
  readonly disabled?: boolean;
  readonly onChange: (checked: boolean) => void;
}

/** A value that is on or off, with a hint below it. */
export function Toggle({ label, hint, problem, checked, disabled = false, onChange }: ToggleProps) {
  const id = useId();
  return (
    <div className={style.toggle}>
      <label>
        <input
          {...controlAttributes(id, hint, problem)}
          type="checkbox"
          checked={checked}
          disabled={disabled}
          onChange={(event) => onChange(event.target.checked)}
        />
        <span>{label}</span>
      </label>
      <div className={style.notes}>
        <FieldNotes id={id} hint={hint} problem={problem} />
      </div>
    </div>
  );
}

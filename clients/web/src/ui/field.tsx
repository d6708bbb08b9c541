import type { ReactNode } from "react";

import { type ControlAttributes, controlAttributes } from "./control_attributes";
import style from "./field.module.css";

interface FieldProps {
  readonly id: string;
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  /** What is wrong with the value. Empty: nothing. */
  readonly problem?: string | undefined;
  /** True to give the label to assistive technology only. */
  readonly labelHidden?: boolean;
  readonly children: (attributes: ControlAttributes) => ReactNode;
}

/** The error and the hint of a control. */
export function FieldNotes({ id, hint, problem }: Pick<FieldProps, "id" | "hint" | "problem">) {
  return (
    <>
      {problem ? (
        <p id={`${id}-problem`} className={style.problem}>
          {problem}
        </p>
      ) : null}
      {hint ? (
        <div id={`${id}-hint`} className={style.hint}>
          {hint}
        </div>
      ) : null}
    </>
  );
}

/** A labelled control with a hint below it, and its error. */
export function Field({ id, label, hint, problem, labelHidden = false, children }: FieldProps) {
  return (
    <div className={style.field}>
      <label htmlFor={id} className={labelHidden ? "visually-hidden" : style.label}>
        {label}
      </label>
      {children(controlAttributes(id, hint, problem))}
      <FieldNotes id={id} hint={hint} problem={problem} />
    </div>
  );
}

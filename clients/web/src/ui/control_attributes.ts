// Attributes that connect a control with its hint and its error.

import type { ReactNode } from "react";

/** What a control needs so that assistive technology finds its label, hint and error. */
export interface ControlAttributes {
  readonly id: string;
  readonly "aria-invalid": true | undefined;
  readonly "aria-describedby": string | undefined;
}

/** Attributes of a control whose hint and error have the ids that `FieldNotes` gives them. */
export function controlAttributes(id: string, hint: ReactNode, problem: string | undefined): ControlAttributes {
  const described = [problem && `${id}-problem`, hint && `${id}-hint`].filter(Boolean).join(" ");
  return { id, "aria-invalid": problem ? true : undefined, "aria-describedby": described || undefined };
}

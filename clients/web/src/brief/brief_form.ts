// What the sections of the form share.

import { createContext, use } from "react";

import type { Problems, RendererLimits } from "./brief_of_draft";
import type { Draft } from "./draft";

export interface BriefForm {
  readonly draft: Draft;
  readonly problems: Problems;
  readonly limits: RendererLimits;
  /** Name of the loaded renderer. Empty until it is known. */
  readonly rendererName: string;
  readonly change: (patch: Partial<Draft>) => void;
}

export const BriefFormContext = createContext<BriefForm | undefined>(undefined);

/** The form that the component is in. */
export function useBriefForm(): BriefForm {
  const form = use(BriefFormContext);
  if (form === undefined) throw new Error("a section of the brief must be inside a BriefFormContext");
  return form;
}

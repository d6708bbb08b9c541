// What the services read from a prompt, a moment after it was typed.

import type { AnalyzePromptResponse } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useState } from "react";

import { renders } from "../api/calls";

const DEBOUNCE_MS = 350;
const TIMEOUT_MS = 10_000;

export interface PromptAnalysis {
  /** Not set without a prompt, and until the first answer. May be that of the text a moment ago. */
  readonly analysis: AnalyzePromptResponse | undefined;
  /** True while the answer for the current text is missing. */
  readonly waiting: boolean;
  readonly failed: boolean;
}

interface Answer {
  readonly prompt: string;
  readonly analysis: AnalyzePromptResponse | undefined;
}

/** `ready`: whether the service answers at all. */
export function usePromptAnalysis(prompt: string, ready: boolean): PromptAnalysis {
  const [answer, setAnswer] = useState<Answer>();
  const isEmpty = prompt.trim() === "";
  useEffect(() => {
    if (isEmpty || !ready) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      let analysis: AnalyzePromptResponse | undefined;
      try {
        analysis = await renders.analyzePrompt({ prompt }, { signal: controller.signal, timeoutMs: TIMEOUT_MS });
      } catch {
        // Help while typing: a take is rendered without it.
      }
      if (!controller.signal.aborted) setAnswer({ prompt, analysis });
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [prompt, ready, isEmpty]);
  if (isEmpty) return { analysis: undefined, waiting: false, failed: false };
  const isCurrent = answer?.prompt === prompt;
  return {
    analysis: answer?.analysis,
    waiting: !isCurrent && ready,
    failed: answer !== undefined && answer.analysis === undefined,
  };
}

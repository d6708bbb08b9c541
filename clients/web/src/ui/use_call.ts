// One call that a control makes: whether it runs, and what it has thrown.

import { useCallback, useRef, useState } from "react";

export interface ControlledCall {
  readonly busy: boolean;
  /** What the last call has thrown; undefined once a call succeeds or is started. */
  readonly problem: unknown;
  /** Start the call. Ignored while one runs. */
  readonly start: (call: () => Promise<void>) => void;
}

export function useCall(): ControlledCall {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const running = useRef(false);
  const start = useCallback((call: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    call()
      .catch((thrown: unknown) => setProblem(thrown))
      .finally(() => {
        running.current = false;
        setBusy(false);
      });
  }, []);
  return { busy, problem, start };
}

import { JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { en } from "../messages/en";
import style from "./state_chip.module.css";

const LOOK: Readonly<Partial<Record<JobState, "good" | "bad" | "open">>> = {
  [JobState.DONE]: "good",
  [JobState.FAILED]: "bad",
  [JobState.QUEUED]: "open",
  [JobState.RUNNING]: "open",
  [JobState.CANCELLING]: "open",
};

interface StateChipProps {
  readonly state: JobState;
  /** In place of the word for the state. */
  readonly text?: string;
}

/** The state of a version in one word. */
export function StateChip({ state, text = en.progress.states[state] }: StateChipProps) {
  const look = LOOK[state] ?? "closed";
  return <span className={`${style.chip} ${style[look]}`}>{text}</span>;
}

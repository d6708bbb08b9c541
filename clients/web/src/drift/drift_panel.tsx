import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { en } from "../messages/en";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import style from "./drift.module.css";
import { DriftPicture } from "./drift_picture";
import type { Verdict } from "./drift_report";
import { findings, verdictWords } from "./drift_words";
import { useDriftReport } from "./use_drift_report";

interface DriftPanelProps {
  readonly job: Job;
  /** A re-rendered version. */
  readonly version: Version;
}

const LOOK: Readonly<Record<Verdict, string | undefined>> = {
  within: style.good,
  beyond: style.bad,
  unmeasurable: style.unsure,
};

/** How well the new stem keeps time, as a picture and in words. */
export function DriftPanel({ job, version }: DriftPanelProps) {
  const { report, problem, isLoading } = useDriftReport(job, version);
  const stem = Stem[version.rerenderedStem].toLowerCase();
  if (report === undefined && problem === undefined && !isLoading) return null;
  return (
    <Panel title={en.rerender.drift.title(stem, version.number)}>
      <div className={style.content}>
        {isLoading && <p className="muted">{en.rerender.drift.loading}</p>}
        {problem !== undefined && <CallProblem thrown={problem} />}
        {report !== undefined && (
          <>
            <p className={LOOK[report.verdict]}>
              <strong>{verdictWords(report, stem)}</strong>
            </p>
            <ul className={style.findings}>
              {findings(report).map((finding) => (
                <li key={finding}>{finding}</li>
              ))}
            </ul>
            {(report.onsets.length > 0 || report.after !== undefined) && (
              <DriftPicture report={report} seconds={version.brief?.seconds ?? 0} />
            )}
          </>
        )}
      </div>
    </Panel>
  );
}

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { hasStems, isFinal, versionOf } from "../job/version_state";
import { en } from "../messages/en";
import { Panel } from "../ui/panel";
import { barCount } from "./bars";
import { RerenderForm } from "./rerender_form";

interface RerenderPanelProps {
  readonly job: Job;
  /** The version to start from. */
  readonly version: number;
  /** Called with the number of the new version once it is accepted. */
  readonly onAccepted?: (version: number) => void;
}

/** Renders one stem of a version again, as the job's next version. */
export function RerenderPanel({ job, version, onAccepted }: RerenderPanelProps) {
  const base = versionOf(job, version);
  // Without stems, the panel that adds them says what they are for.
  if (base === undefined || (isFinal(base) && !hasStems(base))) return null;
  return (
    <Panel title={en.rerender.title}>
      {isFinal(base) ? (
        <RerenderForm
          key={version}
          job={job}
          base={base}
          bars={barCount(base.brief)}
          onAccepted={onAccepted ?? (() => undefined)}
        />
      ) : (
        <p className="muted">{en.rerender.needsDone(base.number)}</p>
      )}
    </Panel>
  );
}

import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

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
  if (base === undefined) return null;
  const hindrance = hindranceOf(base);
  return (
    <Panel title={en.rerender.title}>
      {hindrance === undefined ? (
        <RerenderForm
          key={version}
          job={job}
          base={base}
          bars={barCount(base.brief)}
          onAccepted={onAccepted ?? (() => undefined)}
        />
      ) : (
        <p className="muted">{hindrance}</p>
      )}
    </Panel>
  );
}

/** Why no stem of this version can be rendered again now. */
function hindranceOf(base: Version): string | undefined {
  if (!isFinal(base)) return en.rerender.needsDone(base.number);
  return hasStems(base) ? undefined : en.rerender.needsStems(base.number);
}

import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { jobsOf } from "../api/calls";
import { hasStems, isFinal, isPlayable } from "../job/version_state";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import { useCall } from "../ui/use_call";
import style from "./take.module.css";

interface AddStemsProps {
  readonly job: Job;
  readonly version: Version;
  readonly onChange: () => void;
}

/** Requests stems for a version that has a bounce only. */
export function AddStems({ job, version, onChange }: AddStemsProps) {
  const call = useCall();
  if (!isPlayable(version) || !isFinal(version) || hasStems(version)) return null;
  const add = (): void =>
    call.start(async () => {
      await jobsOf(job).addStems({ jobId: job.jobId, version: version.number }).finally(onChange);
    });
  return (
    <Panel title={en.progress.stems}>
      <div className={style.stack}>
        <p className="muted">{en.take.addStemsHint}</p>
        <p>
          <Button onClick={add} disabled={call.busy}>
            {en.take.addStems}
          </Button>
        </p>
        {call.problem !== undefined && <CallProblem thrown={call.problem} />}
      </div>
    </Panel>
  );
}

import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useState } from "react";

import { isPlayable } from "../job/version_state";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import style from "./take.module.css";

interface NewVersionNoticeProps {
  readonly job: Job;
  readonly heard: number | undefined;
  readonly onCompare: (version: number, base: number) => void;
}

/** Offers to hear a version that was done while the page was open, beside the one that it was made from. */
export function NewVersionNotice({ job, heard, onCompare }: NewVersionNoticeProps) {
  const done = job.versions.filter((version) => version.state === JobState.DONE && isPlayable(version));
  const [known] = useState(() => done.at(-1)?.number ?? 1);
  const [dismissed, setDismissed] = useState(0);
  const fresh = done.at(-1);
  if (fresh === undefined || fresh.number <= Math.max(known, dismissed) || fresh.number === heard) return null;
  const { number, baseVersion } = fresh;
  const compare = (): void => {
    setDismissed(number);
    onCompare(number, baseVersion);
  };
  return (
    <div className={style.notice} role="status">
      <span>{en.take.newVersion(number)}</span>
      <Button onClick={compare}>{en.take.hearBoth(number, baseVersion)}</Button>
    </div>
  );
}

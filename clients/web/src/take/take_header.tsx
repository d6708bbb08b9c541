import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useState } from "react";

import { jobsOf } from "../api/calls";
import { durationWords, secondsBetween } from "../job/time_words";
import { isFinal, isUpload } from "../job/version_state";
import { en } from "../messages/en";
import { hrefOf, navigate } from "../routing/route";
import { Button } from "../ui/button";
import buttonStyle from "../ui/button.module.css";
import { ConfirmDialog } from "../ui/confirm_dialog";
import { CopyButton } from "../ui/copy_button";
import { useCall } from "../ui/use_call";
import { StateChip } from "../versions/state_chip";
import style from "./take.module.css";

/** What the take is called, its state, and what can be done with it as a whole. */
export function TakeHeader({ job }: { readonly job: Job }) {
  const [deleting, setDeleting] = useState(false);
  const call = useCall();
  const { jobId, brief } = job;
  const upload = isUpload(job);
  const latest = job.versions.at(-1);
  const took = secondsBetween(latest?.createTime, latest?.endTime);
  const confirm = (): void =>
    call.start(async () => {
      await jobsOf(job).deleteJob({ jobId });
      navigate({ page: "library" });
    });
  return (
    <header className={style.header}>
      <div className={style.heading}>
        <h1>{upload ? brief?.fileName || en.take.upload : brief?.prompt || en.take.erasedPrompt}</h1>
        <p className={style.line}>
          <StateChip state={latest?.state ?? JobState.UNSPECIFIED} />
          {latest?.state === JobState.DONE && took !== undefined && (
            <span>{en.progress.took(durationWords(took))}</span>
          )}
          <span className={`numbers muted ${style.id}`}>{jobId}</span>
          <CopyButton text={jobId} label={en.take.copyId} look="quiet" />
        </p>
      </div>
      <div className={style.actions}>
        {!upload && (
          <a className={buttonStyle.button} href={hrefOf({ page: "compose", fromJobId: jobId })}>
            {en.take.restoreBrief}
          </a>
        )}
        <Button look="quiet" onClick={() => setDeleting(true)} disabled={!job.versions.every(isFinal)}>
          {upload ? en.take.deleteUpload : en.take.deleteTake}
        </Button>
      </div>
      {deleting && (
        <ConfirmDialog
          title={upload ? en.take.deleteUploadTitle : en.take.deleteTakeTitle}
          confirm={upload ? en.take.deleteUpload : en.take.deleteTake}
          cancel={en.take.keep}
          busy={call.busy}
          problem={call.problem}
          onConfirm={confirm}
          onClose={() => setDeleting(false)}
        >
          <p>{en.take.deleteTakeText(job.versions.length)}</p>
        </ConfirmDialog>
      )}
    </header>
  );
}

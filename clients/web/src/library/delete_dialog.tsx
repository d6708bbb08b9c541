import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { jobsOf } from "../api/calls";
import { en } from "../messages/en";
import { ConfirmDialog } from "../ui/confirm_dialog";
import { useCall } from "../ui/use_call";
import { titleOf } from "./job_words";

interface DeleteDialogProps {
  readonly job: Job;
  readonly onClose: () => void;
  /** Called once the job is deleted. */
  readonly onDeleted: () => void;
}

/** Asks before a job is deleted, and deletes it. */
export function DeleteDialog({ job, onClose, onDeleted }: DeleteDialogProps) {
  const call = useCall();
  const confirm = (): void =>
    call.start(async () => {
      try {
        await jobsOf(job).deleteJob({ jobId: job.jobId });
      } catch (thrown) {
        // Deleted by somebody else, or by an attempt whose answer was lost.
        if (callError(thrown).code !== Code.NotFound) throw thrown;
      }
      onDeleted();
    });
  return (
    <ConfirmDialog
      title={en.library.dialogTitle}
      confirm={call.busy ? en.library.removing : en.library.remove}
      cancel={en.library.keep}
      busy={call.busy}
      problem={call.problem}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>{en.library.dialogText(titleOf(job))}</p>
    </ConfirmDialog>
  );
}

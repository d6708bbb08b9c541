import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useRef, useState } from "react";

import { jobsOf } from "../api/calls";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import style from "./delete_dialog.module.css";
import { titleOf } from "./job_words";

interface DeleteDialogProps {
  readonly job: Job;
  readonly onClose: () => void;
  /** Called once the job is deleted. */
  readonly onDeleted: () => void;
}

/** Asks before a job is deleted, and deletes it. */
export function DeleteDialog({ job, onClose, onDeleted }: DeleteDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [deleting, setDeleting] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => dialog.current?.showModal(), []);

  const confirm = async (): Promise<void> => {
    setDeleting(true);
    setProblem(undefined);
    try {
      await jobsOf(job).deleteJob({ jobId: job.jobId });
      onDeleted();
    } catch (thrown) {
      if (callError(thrown).code === Code.NotFound) {
        onDeleted(); // by somebody else
        return;
      }
      setProblem(thrown);
      setDeleting(false);
    }
  };

  return (
    <dialog ref={dialog} className={style.dialog} aria-labelledby="delete-title" onClose={onClose}>
      <h2 id="delete-title">{en.library.dialogTitle}</h2>
      <p className={style.text}>{en.library.dialogText(titleOf(job))}</p>
      <p>{en.library.dialogBackup}</p>
      {problem !== undefined && <CallProblem thrown={problem} />}
      <div className={style.buttons}>
        <Button onClick={() => dialog.current?.close()}>{en.library.cancel}</Button>
        <Button look="danger" disabled={deleting} onClick={() => void confirm()}>
          {deleting ? en.library.removing : en.library.confirm}
        </Button>
      </div>
    </dialog>
  );
}

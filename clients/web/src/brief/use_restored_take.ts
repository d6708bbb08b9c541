// Reads the brief of a take for the form.

import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useEffectEvent, useState } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { draftOfTake, type Restored } from "./draft_of_brief";

export interface RestoredTake extends Restored {
  readonly jobId: string;
}

async function readJob(jobId: string, signal: AbortSignal): Promise<Job | undefined> {
  try {
    return (await renderJobs.getJob({ jobId }, { signal })).job;
  } catch (thrown) {
    if (callError(thrown).code !== Code.NotFound) throw thrown;
  }
  return (await separationJobs.getJob({ jobId }, { signal })).job; // an upload
}

/** Calls `onRestored` with the brief of each job that is named. Returns what the last call has thrown. */
export function useRestoredTake(jobId: string | undefined, onRestored: (take: RestoredTake) => void): unknown {
  const [problem, setProblem] = useState<unknown>();
  const restored = useEffectEvent(onRestored);
  useEffect(() => {
    if (jobId === undefined) return;
    const controller = new AbortController();
    const read = async (): Promise<void> => {
      setProblem(undefined);
      try {
        const job = await readJob(jobId, controller.signal);
        if (controller.signal.aborted || job?.brief === undefined) return;
        restored({ jobId, ...draftOfTake(job.brief) });
      } catch (thrown) {
        if (!controller.signal.aborted) setProblem(thrown);
      }
    };
    void read();
    return () => controller.abort();
  }, [jobId]);
  return problem;
}

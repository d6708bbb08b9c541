// One notification of the browser when a version ends, if somebody asked for it.

import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useState } from "react";

import { isFinal, nameOf, versionOf } from "../job/version_state";
import { en } from "../messages/en";

export interface EndNotification {
  readonly answer: "none" | "granted" | "denied";
  /** The version that somebody waits for; undefined: none. */
  readonly awaited: number | undefined;
  /** Asks for the permission, if it is not given yet, and waits for the version. */
  readonly ask: (version: number) => void;
}

const MAX_BODY = 120;

/** Lives as long as the page of the take, not only while there is progress to show. */
export function useNotification(job: Job): EndNotification {
  const [answer, setAnswer] = useState<EndNotification["answer"]>("none");
  const [awaited, setAwaited] = useState<number>();
  const state = awaited === undefined ? undefined : versionOf(job, awaited)?.state;
  const body = nameOf(job).slice(0, MAX_BODY);
  useEffect(() => {
    if (awaited === undefined || state === undefined || !isFinal({ state })) return;
    new Notification(endWords(state, awaited), { body, tag: `${job.jobId}-v${awaited}` });
    setAwaited(undefined);
  }, [awaited, state, body, job.jobId]);
  const ask = (version: number): void => {
    Notification.requestPermission()
      .then((permission) => {
        setAnswer(permission === "granted" ? "granted" : "denied");
        if (permission === "granted") setAwaited(version);
      })
      .catch(() => setAnswer("denied"));
  };
  return { answer, awaited, ask };
}

function endWords(state: JobState, number: number): string {
  const name = number === 1 ? en.progress.take : en.progress.takeVersion(number);
  if (state === JobState.DONE) return en.progress.notifyDone(name);
  return state === JobState.FAILED ? en.progress.notifyFailed(name) : en.progress.notifyCancelled(name);
}

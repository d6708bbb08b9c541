import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useRef, useState } from "react";

import { isFinal } from "../job/version_state";
import { en } from "../messages/en";
import { Button } from "../ui/button";

interface NotifyButtonProps {
  readonly job: Job;
  readonly number: number;
}

/** Asks for notifications, only when pressed, and sends one when the version ends. */
export function NotifyButton({ job, number }: NotifyButtonProps) {
  const [wish, setWish] = useState<"none" | "on" | "denied">("none");
  const state = job.versions.find((version) => version.number === number)?.state ?? JobState.UNSPECIFIED;
  const wasOpen = useRef(true);
  useEffect(() => {
    const hasEnded = isFinal({ state });
    if (wish === "on" && hasEnded && wasOpen.current) {
      const body = job.brief?.prompt ?? "";
      new Notification(endWords(state, number), { body: body.slice(0, 120), tag: `${job.jobId}-v${number}` });
    }
    wasOpen.current = !hasEnded;
  }, [wish, state, number, job]);
  if (!("Notification" in globalThis) || isFinal({ state })) return null;
  if (wish === "on") return <span className="muted">{en.progress.notifyOn}</span>;
  if (wish === "denied") return <span className="muted">{en.progress.notifyDenied}</span>;
  const ask = (): void => {
    Notification.requestPermission()
      .then((answer) => setWish(answer === "granted" ? "on" : "denied"))
      .catch(() => setWish("denied"));
  };
  return (
    <Button look="quiet" onClick={ask}>
      {en.progress.notify}
    </Button>
  );
}

function endWords(state: JobState, number: number): string {
  const name = number === 1 ? en.progress.take : en.progress.takeVersion(number);
  if (state === JobState.DONE) return en.progress.notifyDone(name);
  return state === JobState.FAILED ? en.progress.notifyFailed(name) : en.progress.notifyCancelled(name);
}

// A job as it is now: read once, then followed by its events. A reload or a lost connection loses none.

import { useEffect, useState, useSyncExternalStore } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { onBearerChange } from "../api/session";
import { JobFollower, type JobSnapshot } from "./job_follower";

export interface FollowedJob extends JobSnapshot {
  /** Read the job again at once. */
  readonly refresh: () => void;
}

/** Follows the job for as long as the component is mounted. The id must not change: give the component a key. */
export function useJob(jobId: string): FollowedJob {
  const [follower] = useState(() => new JobFollower(jobId, [renderJobs, separationJobs]));
  const snapshot = useSyncExternalStore(follower.subscribe, follower.snapshot);
  useEffect(() => {
    // What changed while nobody looked, such as a re-render or a deletion from another tab.
    const onVisible = (): void => {
      follower.setHidden(document.hidden);
      if (!document.hidden) follower.refresh();
    };
    follower.setHidden(document.hidden);
    document.addEventListener("visibilitychange", onVisible);
    addEventListener("online", follower.refresh);
    const stopListening = onBearerChange(follower.refresh);
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      removeEventListener("online", follower.refresh);
      stopListening();
    };
  }, [follower]);
  return { ...snapshot, refresh: follower.refresh };
}

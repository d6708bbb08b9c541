// A job as it is now: read once, then followed by its events. A reload or a lost connection loses none.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

export interface FollowedJob {
  /** Not set until the first answer. */
  readonly job: Job | undefined;
  /** What the last call has thrown; undefined once a call succeeds. */
  readonly problem: unknown;
  /** False while the event stream is being opened again. */
  readonly connected: boolean;
  /** Read the job again at once. */
  readonly refresh: () => void;
}

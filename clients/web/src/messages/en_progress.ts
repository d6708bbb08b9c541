// Texts of the progress of a version.

import { JobState, Stage } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

const states: Readonly<Record<JobState, string>> = {
  [JobState.UNSPECIFIED]: "Unknown",
  [JobState.QUEUED]: "Waiting",
  [JobState.RUNNING]: "Running",
  [JobState.CANCELLING]: "Cancelling",
  [JobState.DONE]: "Done",
  [JobState.FAILED]: "Failed",
  [JobState.CANCELLED]: "Cancelled",
};

const stages: Readonly<Record<Stage, string>> = {
  [Stage.UNSPECIFIED]: "Starting",
  [Stage.PLAN]: "Planning tempo, key and chords",
  [Stage.DENOISE]: "Rendering the music",
  [Stage.VOCODE]: "Turning it into audio",
  [Stage.BOUNCE]: "Mixing and storing the bounce",
  [Stage.HANDOFF]: "Handing the bounce over",
  [Stage.RECEIVE]: "Reading the audio",
  [Stage.SEPARATE]: "Separating the stems",
  [Stage.ALIGN]: "Aligning the new stem to the grid",
  [Stage.PACKAGE]: "Measuring and packing the stems",
  [Stage.STORE]: "Storing the files",
};

const noDeadline = "Trying again helps: the version then has no deadline.";

/** What to do, by the reason of the failure. */
const advice: Readonly<Record<string, string>> = {
  DRIFT_EXCEEDED: "Trying again cannot help. Render the stem with another seed, or allow the drift.",
  STEM_SILENT: "The same seed gives the same silence. Render the stem with another seed, prompt or persona.",
  EXPIRED: noDeadline,
  EXPIRY_TOO_SOON: noDeadline,
  TOO_MANY_ATTEMPTS: "Trying again goes on after what was stored. If it fails again, look into the log of the service.",
};

export const progress = {
  title: "Progress",
  titleOfVersion: (version: number) => `Progress of v${version}`,
  states,
  stages,
  render: "Render",
  stems: "Stems",
  afterRender: "After the render",
  percent: (percent: number) => `${percent} %`,
  timeLeft: (duration: string) => `about ${duration} left`,
  almostDone: "any moment",
  waitingTurn: "Waits for its turn",
  next: "Next in the queue",
  ahead: (count: number) => (count === 1 ? "1 version is ahead of it" : `${count} versions are ahead of it`),
  expectedDone: (duration: string) => `expected to be done in about ${duration}`,
  waitsFor: (message: string) => `It waits and goes on by itself: ${message}`,
  repeated: (attempt: number) =>
    attempt === 2
      ? "The service restarted while it worked on this, so the work is repeated. What was stored is kept."
      : `The service restarted while it worked on this. This is attempt ${attempt}; what was stored is kept.`,
  playable: "The bounce is ready to play. The stems follow.",
  cancel: "Cancel",
  cancelling: "Cancelling. The work is being stopped.",
  cancelled: (version: number) => `v${version} was cancelled. What was stored before stays.`,
  took: (duration: string) => `Took ${duration}`,
  failed: (version: number) => `v${version} failed`,
  failedAt: (stage: string) => `Stage: ${stage}`,
  reason: (reason: string) => `Reason: ${reason}`,
  retryHelps: "The cause may be gone. Trying again goes on after what was stored.",
  retryUnlikely: "Trying again is unlikely to help unless the cause is removed.",
  advice,
  tryAgain: "Try again",
  notify: "Notify me when it is done",
  notifyOn: "You will be notified when it is done.",
  notifyDenied: "This browser does not allow notifications from this page.",
  notifyDone: (name: string) => `${name} is done.`,
  notifyFailed: (name: string) => `${name} has failed.`,
  notifyCancelled: (name: string) => `${name} was cancelled.`,
  take: "The take",
  takeVersion: (version: number) => `v${version} of the take`,
  connectionLost: "Connection lost. Trying again; the take is not lost.",
  announce: (track: string, percent: number, stage: string) => `${track}: ${percent} %. ${stage}.`,
  pageTitle: (percent: number, track: string, name: string) => `${percent} % ${track} – ${name}`,
  pageTitleState: (state: string, name: string) => `${state} – ${name}`,
  underSecond: "under 1 s",
  seconds: (seconds: number) => `${seconds} s`,
  minutes: (minutes: number, seconds: number) => (seconds === 0 ? `${minutes} min` : `${minutes} min ${seconds} s`),
  hours: (hours: number, minutes: number) => (minutes === 0 ? `${hours} h` : `${hours} h ${minutes} min`),
  days: (days: number) => (days === 1 ? "1 day" : `${days} days`),
} as const;

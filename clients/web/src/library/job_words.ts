// A job in words.

import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ResolvedBrief } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { type Job, JobState, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { momentWords } from "../job/time_words";
import { isDeleted, isFinal, isUpload } from "../job/version_state";
import { en } from "../messages/en";
import { latestVersion } from "./job_list";

const SHORT = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1, useGrouping: false });
const RELATIVE = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;
const MAX_RELATIVE_DAYS = 14;

/** The prompt, or the name of the uploaded file. */
export function titleOf(job: Job): string {
  const { prompt = "", fileName = "" } = job.brief ?? {};
  if (isUpload(job)) return fileName === "" ? en.library.uploadUnnamed : fileName;
  return prompt === "" ? en.library.noPrompt : prompt;
}

/** "118 BPM", or "from 118 BPM" where the tempo changes. Empty without a tempo. */
export function tempoText(brief: ResolvedBrief | undefined): string {
  const points = brief?.tempoMap?.points ?? [];
  const [first] = points;
  if (first === undefined) return "";
  const bpm = SHORT.format(first.bpm);
  return points.every((point) => point.bpm === first.bpm) ? en.library.bpm(bpm) : en.library.bpmChanging(bpm);
}

export function secondsText(brief: ResolvedBrief | undefined): string {
  return brief === undefined || brief.seconds === 0 ? "" : en.library.seconds(SHORT.format(brief.seconds));
}

/** "3 minutes ago", or the day of what is older than two weeks. */
export function ageText(time: Date, now: Date): string {
  const seconds = (time.getTime() - now.getTime()) / 1000;
  if (-seconds > MAX_RELATIVE_DAYS * 86_400) return momentWords(timestampFromDate(time));
  for (const [unit, length] of UNITS)
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.trunc(seconds / length), unit);
  return RELATIVE.format(0, "second");
}

/** How long the job is kept. Empty while it is being worked on: its retention has not started. */
export function retentionText(job: Job): string {
  const time: Timestamp | undefined = job.purgeTime;
  if (time !== undefined) return en.library.keptUntil(momentWords(time));
  return job.versions.every(isFinal) ? en.library.keptForever : "";
}

function versionState({ state, queuePosition }: Version): string {
  if (state !== JobState.QUEUED || queuePosition === undefined) return en.progress.states[state];
  return queuePosition === 0 ? en.library.next : en.library.ahead(queuePosition);
}

/** State of the newest version, named if it is a re-render. */
export function stateText(job: Job): string {
  const latest = latestVersion(job);
  if (latest === undefined) return en.progress.states[job.state];
  const words = isDeleted(latest) ? en.library.deleted : versionState(latest);
  return latest.number > 1 ? en.library.version(latest.number, words) : words;
}

// The command that renders the same take again.

import { LicenceCoverage, type ResolvedBrief, StemMode } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { fileName } from "../download/file_name";
import { isUpload } from "../job/version_state";

const PLAIN = /^[A-Za-z0-9_./:=,+@%-]+$/;

/** A text as one word of a POSIX shell. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * `sonichaos render ...` with what the caller chose. What was drawn or read from the prompt follows from seed and prompt again, and
 * an explicit tempo would drop the swing. A tempo map and a score are files: the command names the downloads of this page, or a
 * file that only the caller has.
 */
export function cliCommand(job: Job): string {
  const { brief } = job;
  if (brief === undefined) return "";
  if (isUpload(job)) return separateCommand(brief);
  const words = ["sonichaos", "render"];
  const add = (option: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== "") words.push(option, quoted(String(value)));
  };
  add("--prompt", brief.prompt);
  add("--persona", brief.personaId);
  add("--seed", brief.seed);
  add("--seconds", brief.seconds);
  if (brief.tempoSource === "caller") addTempo(brief, job.jobId, add);
  if (brief.keySource === "caller") add("--key", brief.key);
  if (brief.instrumental) words.push("--instrumental");
  if (brief.loop) words.push("--loop");
  if (brief.targetLufs !== undefined && brief.targetLufs !== DEFAULT_LUFS) add("--target-lufs", brief.targetLufs);
  if (brief.score !== undefined) addScore(brief, add);
  if (brief.stems) words.push("--stems");
  addTerms(brief, words, add);
  return words.join(" ");
}

const DEFAULT_LUFS = -16;

type Add = (option: string, value: string | number | undefined) => void;

function separateCommand(brief: ResolvedBrief): string {
  const words = ["sonichaos", "separate", quoted(brief.fileName || "FILE.wav")];
  addTerms(brief, words, (option, value) => {
    if (value !== undefined && value !== "") words.push(option, quoted(String(value)));
  });
  return words.join(" ");
}

function addTempo({ tempoMap }: ResolvedBrief, jobId: string, add: Add): void {
  const point = tempoMap?.points[0];
  const isOneTempo = tempoMap?.points.length === 1 && point?.beatsPerBar === 4 && point.beatUnit === 4;
  const isPlain = tempoMap?.firstDownbeatSeconds === 0 && tempoMap.swingRatio === 0.5;
  if (isOneTempo && isPlain) add("--bpm", point.bpm);
  else add("--tempo-map", fileName(jobId, 1, FileKind.MANIFEST));
}

function addScore({ score }: ResolvedBrief, add: Add): void {
  if (score?.chords) add("--chords", score.chords);
  else add("--score", "FILE.mid");
}

function addTerms(brief: ResolvedBrief, words: string[], add: Add): void {
  if (brief.stemMode === StemMode.RAW) add("--stem-mode", "raw");
  for (const [key, value] of Object.entries(brief.labels)) add("--label", `${key}=${value}`);
  add("--licence-tier", brief.licence?.tier);
  if (brief.licence?.covers === LicenceCoverage.BOUNCE) words.push("--licence-covers", "bounce");
  add("--licensee", brief.licence?.licensee);
  add("--terms", brief.licence?.terms);
}

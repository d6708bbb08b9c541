import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import { type Job, JobState, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { lazy, Suspense, useState } from "react";

import { AuditPanel } from "../audit/audit_panel";
import { DownloadsPanel } from "../download/downloads_panel";
import { saveEntry, saveFile } from "../download/save_stored";
import { DriftPanel } from "../drift/drift_panel";
import { type FollowedJob, useJob } from "../job/use_job";
import {
  hasNoRender,
  isDeleted,
  isPlayable,
  nameOf,
  newestPlayable,
  openVersions,
  versionOf,
} from "../job/version_state";
import { en } from "../messages/en";
import type { LaneName } from "../player/engine/mix";
import { ProgressPanel } from "../progress/progress_panel";
import { titleWhile, tracksOf } from "../progress/track_progress";
import { useNotification } from "../progress/use_notification";
import { RerenderPanel } from "../rerender/rerender_panel";
import { hrefOf } from "../routing/route";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import { useCall } from "../ui/use_call";
import { usePageTitle } from "../ui/use_page_title";
import { VersionsPanel } from "../versions/versions_panel";
import { AddStems } from "./add_stems";
import { FactsPanel } from "./facts_panel";
import { NewVersionNotice } from "./new_version_notice";
import style from "./take.module.css";
import { TakeHeader } from "./take_header";

// Audio engine and waveforms are loaded when a take is opened: the other pages do not need them.
const Player = lazy(() => import("../player/player").then((module) => ({ default: module.Player })));

const TITLE_LENGTH = 40;
const MAX_REPORTED = 4;

interface TakePageProps {
  readonly jobId: string;
}

/** One job: its progress, player, versions, re-render panel and audit. */
export function TakePage({ jobId }: TakePageProps) {
  const followed = useJob(jobId);
  const { job, absent, problem } = followed;
  if (absent !== undefined) return <Absent absent={absent} />;
  if (job === undefined) return <Unread problem={problem} />;
  return <Take job={job} followed={followed} />;
}

interface TakeProps {
  readonly job: Job;
  readonly followed: FollowedJob;
}

function Take({ job, followed }: TakeProps) {
  const { refresh, connected } = followed;
  const [chosen, setChosen] = useState<number>();
  const [compared, setCompared] = useState<number>();
  const newest = newestPlayable(job);
  // The first version that can be heard stays chosen: a new one must not replace what somebody listens to.
  if (chosen === undefined && newest !== undefined) setChosen(newest.number);
  const heard = playableOr(job, chosen, newest?.number);
  const against = compared === heard ? undefined : playableOr(job, compared, undefined);
  const shown = heard === undefined ? job.versions.at(-1) : versionOf(job, heard);
  usePageTitle(titleOf(job));
  const notification = useNotification(job);
  const hear = (version: number): void => {
    setChosen(version);
    if (version === compared) setCompared(heard);
  };
  const downloading = useCall();
  const download = (number: number, lane: LaneName): void => {
    const version = versionOf(job, number);
    if (version === undefined) return;
    downloading.start(() =>
      lane === "bounce" ? saveFile(job, number, FileKind.BOUNCE) : saveEntry(job, version, `${lane}.wav`),
    );
  };
  return (
    <>
      <TakeHeader job={job} />
      {reported(job).map((version) => (
        <ProgressPanel
          key={version.number}
          job={job}
          version={version}
          connected={connected}
          notification={notification}
          onChange={refresh}
        />
      ))}
      <NewVersionNotice
        job={job}
        heard={heard}
        onCompare={(version, base) => {
          setChosen(version);
          setCompared(base);
        }}
      />
      {heard === undefined ? (
        <Panel title={en.take.player}>
          <p className="muted">{en.take.playerWaits}</p>
        </Panel>
      ) : (
        <Suspense fallback={<Panel title={en.take.player}>{null}</Panel>}>
          <Player job={job} version={heard} against={against} onDownload={download} />
        </Suspense>
      )}
      {downloading.problem !== undefined && <CallProblem thrown={downloading.problem} />}
      <div className={style.columns}>
        <div className={style.column}>
          <VersionsPanel
            job={job}
            heard={heard}
            against={against}
            onHear={hear}
            onCompare={setCompared}
            onChange={refresh}
          />
          {shown !== undefined && <AddStems job={job} version={shown} onChange={refresh} />}
          {heard !== undefined && <RerenderPanel job={job} version={heard} onAccepted={refresh} />}
          {shown !== undefined && <DownloadsPanel key={shown.number} job={job} version={shown} />}
        </div>
        <div className={style.column}>
          {shown !== undefined && shown.baseVersion > 0 && <DriftPanel job={job} version={shown} />}
          {shown !== undefined && <FactsPanel job={job} version={shown} />}
          {shown !== undefined && <AuditPanel job={job} version={shown} />}
        </div>
      </div>
    </>
  );
}

/** The progress of the take while there is any, else its name. */
function titleOf(job: Job): string {
  const [open] = openVersions(job);
  const name = nameOf(job).slice(0, TITLE_LENGTH);
  return open === undefined ? name : titleWhile(open, tracksOf(open, hasNoRender(job, open)), name);
}

/** `wanted` if that version can be played now, else `fallback`. */
function playableOr(job: Job, wanted: number | undefined, fallback: number | undefined): number | undefined {
  const version = wanted === undefined ? undefined : versionOf(job, wanted);
  return version !== undefined && isPlayable(version) ? wanted : fallback;
}

/** The versions in progress; without any, the newest one if it has failed or was cancelled: what happened stays visible. */
function reported(job: Job): readonly Version[] {
  const open = openVersions(job);
  if (open.length > 0) return open.slice(0, MAX_REPORTED);
  return job.versions.slice(-1).filter((version) => version.state !== JobState.DONE && !isDeleted(version));
}

/** Before the first answer. A refusal is not a service that does not answer, though both are tried again. */
function Unread({ problem }: { readonly problem: unknown }) {
  if (problem === undefined) return <h1>{en.take.loading}</h1>;
  const { code, reason } = callError(problem);
  const isSilent = reason === "" && (code === Code.Unavailable || code === Code.Unknown);
  return (
    <>
      <h1>{isSilent ? en.take.reconnecting : en.take.unreadable}</h1>
      <CallProblem thrown={problem} />
    </>
  );
}

function Absent({ absent }: { readonly absent: "unknown" | "deleted" }) {
  return (
    <>
      <h1>{absent === "unknown" ? en.take.unknown : en.take.deleted}</h1>
      <p role="status">{absent === "unknown" ? en.take.unknownDetail : en.take.deletedDetail}</p>
      <p>
        <a href={hrefOf({ page: "library" })}>{en.take.toLibrary}</a>
      </p>
    </>
  );
}

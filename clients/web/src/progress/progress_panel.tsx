import { timestampNow } from "@bufbuild/protobuf/wkt";
import { type Job, JobState, ProgressTrack, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { jobsOf } from "../api/calls";
import { durationWords, secondsBetween } from "../job/time_words";
import { hasNoRender, isFinal, isPlayable, reasonOf } from "../job/version_state";
import { en } from "../messages/en";
import { Announce } from "../ui/announce";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import { ProgressBar } from "../ui/progress_bar";
import { useCall } from "../ui/use_call";
import { Failure } from "./failure";
import { NotifyButton } from "./notify_button";
import style from "./progress.module.css";
import { announcement, type TrackProgress, tracksOf } from "./track_progress";
import { useCountdown } from "./use_countdown";
import type { EndNotification } from "./use_notification";

interface ProgressPanelProps {
  readonly job: Job;
  readonly version: Version;
  /** False while the connection is lost. */
  readonly connected: boolean;
  readonly notification: EndNotification;
  /** Called after a call that may have changed the job, or found it gone. */
  readonly onChange: () => void;
}

/** What happens to a version now, and how it ended unless it is simply done. */
export function ProgressPanel({ job, version, connected, notification, onChange }: ProgressPanelProps) {
  const tracks = tracksOf(version, hasNoRender(job, version));
  const call = useCall();
  const { jobId } = job;
  const { number } = version;
  const cancel = (): void =>
    call.start(async () => {
      await jobsOf(job).cancelJob({ jobId, version: number }).finally(onChange);
    });
  const retry = (): void =>
    call.start(async () => {
      await jobsOf(job).retryVersion({ jobId, version: number }).finally(onChange);
    });
  return (
    <Panel title={number === 1 ? en.progress.title : en.progress.titleOfVersion(number)}>
      <div className={style.content}>
        <Announce text={announcement(version, tracks)} />
        {!connected && <p className={style.warning}>{en.progress.connectionLost}</p>}
        <Body version={version} tracks={tracks} busy={call.busy} onRetry={retry} />
        {call.problem !== undefined && <CallProblem thrown={call.problem} />}
        {!isFinal(version) && (
          <div className={style.actions}>
            <Button onClick={cancel} disabled={call.busy || version.state === JobState.CANCELLING}>
              {en.progress.cancel}
            </Button>
            <NotifyButton number={number} notification={notification} />
          </div>
        )}
      </div>
    </Panel>
  );
}

interface BodyProps {
  readonly version: Version;
  readonly tracks: readonly TrackProgress[];
  readonly busy: boolean;
  readonly onRetry: () => void;
}

function Body({ version, tracks, busy, onRetry }: BodyProps) {
  if (version.state === JobState.FAILED) return <Failure version={version} busy={busy} onRetry={onRetry} />;
  if (version.state === JobState.CANCELLED) return <p>{en.progress.cancelled(version.number)}</p>;
  if (version.state === JobState.CANCELLING) return <p>{en.progress.cancelling}</p>;
  if (version.state === JobState.QUEUED) return <Queue version={version} />;
  const attempt = Math.max(1, ...tracks.map((track) => track.attempt));
  const stemsFollow = isPlayable(version) && tracks.some((track) => track.track === ProgressTrack.STEMS);
  return (
    <>
      {tracks.map((track) => (
        <TrackBar key={track.track} progress={track} />
      ))}
      {version.waiting !== undefined && (
        <p className={style.warning}>{en.progress.waitsFor(reasonOf(version.waiting).message)}</p>
      )}
      {attempt > 1 && <p className={style.warning}>{en.progress.repeated(attempt)}</p>}
      {stemsFollow && <p className="muted">{en.progress.playable}</p>}
    </>
  );
}

function TrackBar({ progress }: { readonly progress: TrackProgress }) {
  const left = useCountdown(progress.secondsLeft, progress.sequence);
  const percent = progress.hasStarted ? en.progress.percent(progress.percent) : "";
  const time = left === undefined ? "" : timeLeftWords(left);
  const figures = time === "" ? percent : `${percent} · ${time}`;
  return <ProgressBar label={progress.name} detail={progress.stage} fraction={progress.fraction} figures={figures} />;
}

function timeLeftWords(seconds: number): string {
  return seconds < 1 ? en.progress.almostDone : en.progress.timeLeft(durationWords(seconds));
}

function Queue({ version }: { readonly version: Version }) {
  const position = version.queuePosition;
  const wait = secondsBetween(timestampNow(), version.estimatedEndTime);
  const words = [position === undefined ? en.progress.waitingTurn : queueWords(position)];
  if (wait !== undefined) words.push(en.progress.expectedDone(durationWords(wait)));
  return <p>{words.join("; ")}.</p>;
}

function queueWords(position: number): string {
  return position === 0 ? en.progress.next : en.progress.ahead(position);
}

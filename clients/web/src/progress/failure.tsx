import { Stage, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { reasonOf } from "../job/version_state";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import style from "./progress.module.css";

interface FailureProps {
  readonly version: Version;
  readonly busy: boolean;
  readonly onRetry: () => void;
}

/** Why a version failed, where, and what can be done. */
export function Failure({ version, busy, onRetry }: FailureProps) {
  if (version.error === undefined) return null;
  const { message, reason, metadata, retryHelps } = reasonOf(version.error);
  const stage = stageNamed(metadata.stage);
  const canRetry = reason !== "DRIFT_EXCEEDED";
  return (
    <div className={style.failure}>
      <p>
        <strong>{en.progress.failed(version.number)}</strong>
      </p>
      <p>{message}</p>
      {stage !== undefined && <p className="muted">{en.progress.failedAt(en.progress.stages[stage])}</p>}
      <p className="muted">{reason !== "" && en.progress.reason(reason)}</p>
      <p>{adviceFor(reason, retryHelps)}</p>
      {canRetry && (
        <p>
          <Button onClick={onRetry} disabled={busy}>
            {en.progress.tryAgain}
          </Button>
        </p>
      )}
    </div>
  );
}

/** Whether and why trying again can help. */
function adviceFor(reason: string, retryHelps: boolean): string {
  const advice = en.progress.advice[reason];
  return advice ?? (retryHelps ? en.progress.retryHelps : en.progress.retryUnlikely);
}

/** `name`: as errors write it, such as "separate". */
function stageNamed(name: string | undefined): Stage | undefined {
  const wanted = name?.toUpperCase();
  return STAGES.find((stage) => Stage[stage] === wanted);
}

const STAGES = [
  Stage.PLAN,
  Stage.DENOISE,
  Stage.VOCODE,
  Stage.BOUNCE,
  Stage.HANDOFF,
  Stage.RECEIVE,
  Stage.SEPARATE,
  Stage.ALIGN,
  Stage.PACKAGE,
  Stage.STORE,
] as const;

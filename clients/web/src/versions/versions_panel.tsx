import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useState } from "react";

import { jobsOf } from "../api/calls";
import { useDriftReport } from "../drift/use_drift_report";
import { durationWords, secondsBetween } from "../job/time_words";
import { isDeleted, isFinal, isPlayable } from "../job/version_state";
import { en } from "../messages/en";
import { personaName } from "../personas/persona_name";
import { Button } from "../ui/button";
import { ConfirmDialog } from "../ui/confirm_dialog";
import { Panel } from "../ui/panel";
import { useCall } from "../ui/use_call";
import { StateChip } from "./state_chip";
import style from "./versions.module.css";

interface VersionsPanelProps {
  readonly job: Job;
  readonly heard: number | undefined;
  readonly against: number | undefined;
  readonly onHear: (version: number) => void;
  /** undefined: compare with nothing. */
  readonly onCompare: (version: number | undefined) => void;
  readonly onChange: () => void;
}

/** A job can have hundreds of versions. */
const SHOWN = 6;

/** The versions, newest first; which one is heard, and which it is compared with. */
export function VersionsPanel({ job, heard, against, onHear, onCompare, onChange }: VersionsPanelProps) {
  const [deleting, setDeleting] = useState<Version>();
  const [all, setAll] = useState(false);
  const call = useCall();
  const newestFirst = [...job.versions].reverse();
  const shown = newestFirst.filter(
    ({ number }, index) => all || index < SHOWN || number === heard || number === against || number === 1,
  );
  const confirm = (version: Version): void =>
    call.start(async () => {
      await jobsOf(job).deleteVersion({ jobId: job.jobId, version: version.number }).finally(onChange);
      setDeleting(undefined);
    });
  return (
    <Panel title={en.take.versions}>
      <ul className={style.list}>
        {shown.map((version) => (
          <li key={version.number} className={style.version} data-heard={version.number === heard}>
            <Summary job={job} version={version} />
            <div className={style.actions}>
              {isPlayable(version) && job.versions.length > 1 && (
                <Button
                  aria-pressed={version.number === heard}
                  aria-label={en.take.showVersion(version.number)}
                  onClick={() => onHear(version.number)}
                >
                  {en.take.show}
                </Button>
              )}
              {isPlayable(version) && version.number !== heard && (
                <Button
                  aria-pressed={version.number === against}
                  aria-label={en.take.compareVersion(version.number)}
                  onClick={() => onCompare(version.number === against ? undefined : version.number)}
                >
                  {en.take.compare}
                </Button>
              )}
              {canBeDeleted(version) && (
                <Button
                  look="quiet"
                  aria-label={en.take.deleteVersionNamed(version.number)}
                  onClick={() => setDeleting(version)}
                >
                  {en.take.deleteVersion}
                </Button>
              )}
            </div>
          </li>
        ))}
      </ul>
      {shown.length < newestFirst.length && (
        <Button look="quiet" onClick={() => setAll(true)}>
          {en.take.showAll(newestFirst.length)}
        </Button>
      )}
      {deleting !== undefined && (
        <ConfirmDialog
          title={en.take.deleteVersionTitle(deleting.number)}
          confirm={en.take.deleteVersion}
          cancel={en.take.keep}
          busy={call.busy}
          problem={call.problem}
          onConfirm={() => confirm(deleting)}
          onClose={() => setDeleting(undefined)}
        >
          <p>{en.take.deleteVersionText(deleting.number)}</p>
        </ConfirmDialog>
      )}
    </Panel>
  );
}

/** The original is deleted with its take only. */
function canBeDeleted(version: Version): boolean {
  return version.number > 1 && isFinal(version) && !isDeleted(version);
}

function ageWords(seconds: number): string {
  return seconds < 1 ? en.take.justNow : en.take.ago(durationWords(seconds));
}

interface SummaryProps {
  readonly job: Job;
  readonly version: Version;
}

function Summary({ job, version }: SummaryProps) {
  const { report } = useDriftReport(job, version);
  const age = secondsBetween(version.createTime, timestampNow());
  const { baseVersion, rerenderedStem, brief, loudness } = version;
  const name = baseVersion === 0 ? en.take.original : en.take.rerendered(en.take.stems[rerenderedStem], baseVersion);
  const details = [
    personaName(brief?.personaId ?? ""),
    brief?.seed === undefined ? "" : `${en.take.seed} ${brief.seed}`,
    loudness?.lufs === undefined ? "" : en.take.lufs(loudness.lufs),
    report === undefined ? "" : en.rerender.drift.verdicts[report.verdict],
    age === undefined ? "" : ageWords(age),
  ];
  return (
    <div className={style.summary}>
      <p className={style.name}>
        <strong className="numbers">{en.take.version(version.number)}</strong> <span>{name}</span>{" "}
        {!isDeleted(version) && <StateChip state={version.state} />}
      </p>
      <p className={`muted ${style.details}`}>
        {isDeleted(version) ? en.take.deletedVersion : details.filter((detail) => detail !== "").join(" · ")}
      </p>
    </div>
  );
}

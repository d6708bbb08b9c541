import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { momentWords } from "../job/time_words";
import { isDeleted, isFinal, isUpload } from "../job/version_state";
import { en } from "../messages/en";
import { personaName } from "../personas/persona_name";
import { hrefOf } from "../routing/route";
import { Button } from "../ui/button";
import buttonStyle from "../ui/button.module.css";
import { Icon } from "../ui/icon";
import { StateChip } from "../versions/state_chip";
import { formatFilters, NO_FILTERS } from "./filters";
import { doneFraction, isDeletable, latestVersion } from "./job_list";
import style from "./job_row.module.css";
import { ageText, retentionText, secondsText, stateText, tempoText, titleOf } from "./job_words";

interface JobRowProps {
  readonly job: Job;
  readonly now: Date;
  readonly onDelete: () => void;
}

function factsOf(job: Job): readonly string[] {
  const { brief } = job;
  const versions = job.versions.filter((version) => !isDeleted(version)).length;
  return [
    brief?.personaId ? en.library.personaIs(personaName(brief.personaId)) : "",
    brief?.seed === undefined ? "" : en.library.seed(brief.seed),
    tempoText(brief),
    brief?.key ?? "",
    secondsText(brief),
    brief?.loop === true ? en.library.loop : "",
    brief?.stems === true && !isUpload(job) ? en.library.withStems : "",
    versions > 1 ? en.library.versions(versions) : "",
  ].filter((fact) => fact !== "");
}

function State({ job }: { readonly job: Job }) {
  const latest = latestVersion(job);
  const state = latest?.state ?? job.state;
  const percent = latest === undefined ? 0 : Math.floor(100 * doneFraction(latest, isUpload(job)));
  return (
    <div className={style.state}>
      <StateChip
        state={state}
        text={state === JobState.RUNNING ? en.library.progressOfState(stateText(job), percent) : stateText(job)}
      />
      {!isFinal({ state }) && (
        <progress className={style.bar} aria-label={en.library.progressOf(titleOf(job))} max={100} value={percent} />
      )}
    </div>
  );
}

function Labels({ job }: { readonly job: Job }) {
  const labels = Object.entries(job.brief?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  if (labels.length === 0) return null;
  return (
    <p className={style.labels}>
      {labels.map((label) => (
        <a
          key={label}
          href={hrefOf({ page: "library", query: formatFilters({ ...NO_FILTERS, label }) })}
          title={en.library.labelFilter(label)}
        >
          {label}
        </a>
      ))}
    </p>
  );
}

/** One take or recording of the library. */
export function JobRow({ job, now, onDelete }: JobRowProps) {
  const title = titleOf(job);
  const created = job.createTime === undefined ? undefined : timestampDate(job.createTime);
  const deletable = isDeletable(job);
  return (
    <li className={style.row}>
      <div className={style.what}>
        <a className={style.title} href={hrefOf({ page: "take", jobId: job.jobId })}>
          {title}
        </a>
        <p className={style.facts}>
          {isUpload(job) && <span className={style.kind}>{en.library.upload}</span>}
          {factsOf(job).map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </p>
        <Labels job={job} />
      </div>
      <State job={job} />
      <p className={style.times}>
        {created !== undefined && job.createTime !== undefined && (
          <time dateTime={created.toISOString()} title={momentWords(job.createTime)}>
            {ageText(created, now)}
          </time>
        )}
        <span>{retentionText(job)}</span>
      </p>
      <div className={style.actions}>
        {!isUpload(job) && (
          <a
            className={buttonStyle.button}
            href={hrefOf({ page: "compose", fromJobId: job.jobId })}
            aria-label={en.library.restoreOf(title)}
          >
            {en.library.restore}
          </a>
        )}
        <Button
          look="quiet"
          aria-label={en.library.removeOf(title)}
          title={deletable ? en.library.remove : en.library.removeBusy}
          disabled={!deletable}
          onClick={onDelete}
        >
          <Icon name="trash" />
        </Button>
      </div>
    </li>
  );
}

import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { AuditRow, VerifyAuditChainResponse } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useState } from "react";

import { renders } from "../api/calls";
import { parseJson } from "../download/json";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import { useCall } from "../ui/use_call";
import style from "./audit.module.css";
import { listRows } from "./list_rows";
import { factsOf, isPromptErased } from "./row_words";
import { VerifyFiles } from "./verify_files_view";

interface AuditPanelProps {
  readonly job: Job;
  readonly version: Version;
}

/** The audit rows of a take in words, the check of the chain, and the check of the stored files. */
export function AuditPanel({ job, version }: AuditPanelProps) {
  const written = job.versions.reduce((sum, one) => sum + one.auditDigests.length, 0);
  const { rows, problem } = useRows(job.jobId, written);
  const ofVersion = rows?.filter((row) => row.version === version.number) ?? [];
  const newest = ofVersion.at(-1);
  const earlier = ofVersion.slice(0, -1).reverse();
  return (
    <Panel title={en.audit.title}>
      <div className={style.content}>
        {problem !== undefined && <CallProblem thrown={problem} />}
        {rows === undefined && problem === undefined && <p className="muted">{en.audit.loading}</p>}
        {rows !== undefined && ofVersion.length === 0 && <p className="muted">{en.audit.none}</p>}
        {ofVersion.some(isPromptErased) && <p className={style.note}>{en.audit.erased}</p>}
        {newest !== undefined && <Row row={newest} />}
        {earlier.map((row) => (
          <details key={row.digest} className={style.earlier}>
            <summary>{en.audit.earlier(en.audit.rowOf(row.version, row.kind))}</summary>
            <Row row={row} />
          </details>
        ))}
        <ChainCheck />
        {rows !== undefined && version.files?.manifest !== undefined && (
          <VerifyFiles key={version.number} job={job} version={version} rows={rows} />
        )}
      </div>
    </Panel>
  );
}

interface Rows {
  readonly rows: readonly AuditRow[] | undefined;
  readonly problem: unknown;
}

/** The rows of the job; read again when `written` changes. */
function useRows(jobId: string, written: number): Rows {
  const [found, setFound] = useState<Rows>({ rows: undefined, problem: undefined });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new row has to be read.
  useEffect(() => {
    const leaving = new AbortController();
    listRows(jobId, leaving.signal)
      .then((rows) => setFound({ rows, problem: undefined }))
      .catch((thrown: unknown) => {
        if (!leaving.signal.aborted) setFound(({ rows }) => ({ rows, problem: thrown }));
      });
    return () => leaving.abort();
  }, [jobId, written]);
  return found;
}

function Row({ row }: { readonly row: AuditRow }) {
  return (
    <section className={style.row}>
      <h3>{en.audit.rowOf(row.version, row.kind)}</h3>
      <dl className={style.facts}>
        {factsOf(row).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <details>
        <summary>{en.audit.rawJson}</summary>
        <textarea
          className={style.raw}
          readOnly={true}
          rows={16}
          aria-label={en.audit.rawJson}
          value={JSON.stringify(parseJson(row.bodyJson), undefined, 2)}
        />
      </details>
    </section>
  );
}

function ChainCheck() {
  const call = useCall();
  const [answer, setAnswer] = useState<VerifyAuditChainResponse>();
  const verify = (): void =>
    call.start(async () => {
      setAnswer(undefined);
      setAnswer(await renders.verifyAuditChain({}));
    });
  return (
    <div className={style.check}>
      <Button className={style.start ?? ""} onClick={verify} disabled={call.busy}>
        {call.busy ? en.audit.verifying : en.audit.verifyChain}
      </Button>
      <p role="status" className={answer?.intact === false ? style.bad : style.good}>
        {answer !== undefined && chainWords(answer)}
      </p>
      {call.problem !== undefined && <CallProblem thrown={call.problem} />}
    </div>
  );
}

function chainWords({ intact, headSequence, headDigest, brokenSequence, detail }: VerifyAuditChainResponse): string {
  if (!intact) return en.audit.broken(brokenSequence, detail);
  return headSequence === 0n ? en.audit.empty : en.audit.intact(headSequence, headDigest);
}

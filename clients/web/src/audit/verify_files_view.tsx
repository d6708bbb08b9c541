import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { AuditRow } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useRef, useState } from "react";

import { fetchStored } from "../download/fetch_stored";
import { sizeWords } from "../download/file_name";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { ProgressBar } from "../ui/progress_bar";
import { useCall } from "../ui/use_call";
import style from "./audit.module.css";
import { type CheckedFile, type FetchFile, filesToCheck, verifyFiles } from "./verify_files";

interface VerifyFilesProps {
  readonly job: Job;
  readonly version: Version;
  readonly rows: readonly AuditRow[];
}

/** Checks every stored file of the version in this browser. */
export function VerifyFiles({ job, version, rows }: VerifyFilesProps) {
  const call = useCall();
  const [checked, setChecked] = useState<readonly CheckedFile[]>([]);
  const [fraction, setFraction] = useState(0);
  const [stopped, setStopped] = useState(false);
  const running = useRef<AbortController>(null);
  useEffect(() => () => running.current?.abort(), []);
  const names = filesToCheck(version);
  const check = (): void => {
    const controller = new AbortController();
    running.current = controller;
    setChecked([]);
    setStopped(false);
    call.start(async () => {
      const { signal } = controller;
      const fetchFile: FetchFile = (kind, entry, options) =>
        fetchStored({ job, version: version.number, kind, entry }, options);
      const files = verifyFiles(version, rows, fetchFile, { signal, onProgress: setFraction });
      try {
        for await (const file of files) {
          setChecked((before) => [...before, file]);
          setFraction(0);
        }
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
        setStopped(true);
      }
    });
  };
  const size = version.files?.zip?.sizeBytes ?? version.files?.bounce?.sizeBytes ?? 0n;
  const current = names[checked.length];
  return (
    <section className={style.check}>
      <h3>{en.audit.filesTitle}</h3>
      <p className="muted">{isSecureContext ? en.audit.filesIntro : en.audit.secureOnly}</p>
      <div className={style.actions}>
        <Button onClick={check} disabled={call.busy || !isSecureContext}>
          {en.audit.checkFiles(version.number, sizeWords(size))}
        </Button>
        {call.busy && <Button onClick={() => running.current?.abort()}>{en.audit.cancelCheck}</Button>}
      </div>
      {call.busy && current !== undefined && (
        <ProgressBar
          label={en.audit.checking(current)}
          figures={en.audit.countOf(checked.length, names.length)}
          fraction={(checked.length + fraction) / names.length}
        />
      )}
      <ul className={style.files}>
        {checked.map((file) => (
          <li key={file.name}>
            <span className={verdictStyle(file)}>{verdictWords(file)}</span>
            <span className={`numbers ${style.digest}`}>{en.audit.found(file.sha256)}</span>
          </li>
        ))}
      </ul>
      <p role="status">{!call.busy && summaryWords(checked, names.length, stopped)}</p>
      {call.problem !== undefined && <CallProblem thrown={call.problem} />}
    </section>
  );
}

function verdictStyle({ agree, differ }: CheckedFile): string | undefined {
  if (differ.length > 0) return style.bad;
  return agree.length > 0 ? style.good : undefined;
}

function verdictWords({ name, agree, differ }: CheckedFile): string {
  if (differ.length > 0) return en.audit.differs(name, differ);
  return agree.length > 0 ? en.audit.matches(name, agree) : en.audit.unknown(name);
}

function summaryWords(checked: readonly CheckedFile[], expected: number, stopped: boolean): string {
  if (stopped) return en.audit.checkStopped;
  const differing = checked.filter((file) => file.differ.length > 0).length;
  if (differing > 0) return en.audit.mismatch(differing);
  return checked.length === expected ? en.audit.allMatch(expected) : "";
}

import { entryOfZip } from "@sonichaos/client";
import type { Job, StoredFile, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { useEffect, useRef, useState } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { Panel } from "../ui/panel";
import { ProgressBar } from "../ui/progress_bar";
import { useCall } from "../ui/use_call";
import style from "./downloads.module.css";
import { sizeWords } from "./file_name";
import { saveEntry, saveFile } from "./save_stored";

interface DownloadsPanelProps {
  readonly job: Job;
  readonly version: Version;
}

const STEMS = ["drums.wav", "bass.wav", "vocals.wav", "other.wav"] as const;

/** The stored files of a version, each with its size. */
export function DownloadsPanel({ job, version }: DownloadsPanelProps) {
  const { files } = version;
  if (files?.bounce === undefined) return null;
  const rows: readonly (readonly [FileKind, StoredFile | undefined, string])[] = [
    [FileKind.ZIP, files.zip, en.take.zip],
    [FileKind.BOUNCE, files.bounce, en.take.bounce],
    [FileKind.MIDI, files.midi, en.take.midi],
    [FileKind.MANIFEST, files.manifest, en.take.manifest],
  ];
  return (
    <Panel title={en.take.downloadsOf(version.number)}>
      <ul className={style.list}>
        {rows.map(
          ([kind, file, label]) =>
            file !== undefined && (
              <WholeFile key={kind} job={job} number={version.number} kind={kind} file={file} label={label} />
            ),
        )}
        {files.zip !== undefined && STEMS.map((name) => <OneStem key={name} job={job} version={version} name={name} />)}
      </ul>
    </Panel>
  );
}

interface WholeFileProps {
  readonly job: Job;
  readonly number: number;
  readonly kind: FileKind;
  readonly file: StoredFile;
  readonly label: string;
}

/** A file that the browser downloads by itself, with its own progress. */
function WholeFile({ job, number, kind, file, label }: WholeFileProps) {
  const call = useCall();
  const download = (): void =>
    call.start(async () => {
      await saveFile(job, number, kind);
    });
  return (
    <li>
      <Row label={label} size={file.sizeBytes} busy={call.busy} onDownload={download} />
      {call.problem !== undefined && <CallProblem thrown={call.problem} />}
    </li>
  );
}

interface OneStemProps {
  readonly job: Job;
  readonly version: Version;
  readonly name: string;
}

/** One file of the ZIP, fetched alone and checked before it is saved. */
function OneStem({ job, version, name }: OneStemProps) {
  const call = useCall();
  const [fraction, setFraction] = useState(0);
  const leaving = useRef<AbortController>(null);
  useEffect(() => {
    const controller = new AbortController();
    leaving.current = controller;
    return () => controller.abort();
  }, []);
  const entry = entryOfZip(version, name);
  const download = (): void =>
    call.start(async () => {
      setFraction(0);
      const signal = leaving.current?.signal;
      const options = { onProgress: setFraction, ...(signal === undefined ? {} : { signal }) };
      await saveEntry(job, version, name, options);
    });
  return (
    <li>
      <Row label={en.take.stemFile(name)} size={entry.sizeBytes} busy={call.busy} onDownload={download} />
      {call.busy && fraction < 1 && <ProgressBar label={en.take.downloading(name)} fraction={fraction} />}
      {call.problem !== undefined && <CallProblem thrown={call.problem} />}
    </li>
  );
}

interface RowProps {
  readonly label: string;
  readonly size: bigint;
  readonly busy: boolean;
  readonly onDownload: () => void;
}

function Row({ label, size, busy, onDownload }: RowProps) {
  return (
    <div className={style.row}>
      <span>{label}</span>
      <span className={`numbers muted ${style.size}`}>{sizeWords(size)}</span>
      <Button onClick={onDownload} disabled={busy} aria-label={en.take.downloadNamed(label)}>
        {en.take.download}
      </Button>
    </div>
  );
}

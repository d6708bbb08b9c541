import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { ResolvedBrief } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { Fragment } from "react";

import { durationWords, momentWords, secondsBetween } from "../job/time_words";
import { isUpload } from "../job/version_state";
import { en } from "../messages/en";
import { personaName } from "../personas/persona_name";
import { CopyButton } from "../ui/copy_button";
import { Panel } from "../ui/panel";
import { cliCommand } from "./cli_command";
import style from "./facts.module.css";

interface FactsPanelProps {
  readonly job: Job;
  readonly version: Version;
}

/** What was asked for, what was chosen, what came out. */
export function FactsPanel({ job, version }: FactsPanelProps) {
  const command = cliCommand(job);
  return (
    <Panel title={en.take.facts}>
      <dl className={style.facts}>
        {factsOf(job, version).map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
      <details className={style.command}>
        <summary>{en.take.command}</summary>
        <pre>{command}</pre>
        {/FILE\.|--tempo-map/.test(command) && <p className="muted">{en.take.commandFiles}</p>}
        <CopyButton text={command} label={en.take.copyCommand} />
      </details>
    </Panel>
  );
}

type Fact = readonly [name: string, value: string];

function factsOf(job: Job, version: Version): readonly Fact[] {
  const words = en.take;
  const brief = version.brief ?? job.brief;
  const facts: Fact[] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") facts.push([name, value]);
  };
  if (brief !== undefined) {
    add(words.file, brief.fileName);
    add(words.prompt, brief.prompt || (isUpload(job) ? "" : words.erasedPrompt));
    add(words.persona, personaName(brief.personaId));
    if (brief.seed !== undefined) add(words.seed, seedWords(brief.seed, brief.seedSource));
    add(words.tempo, tempoWords(brief));
    add(words.key, brief.key && words.withSource(brief.key, brief.keySource));
    add(words.length, lengthWords(brief));
  }
  add(words.loudness, loudnessWords(version));
  if (version.createTime !== undefined) add(words.created, momentWords(version.createTime));
  add(words.labels, labelWords(job));
  add(words.retention, retentionWords(job));
  return facts;
}

function seedWords(seed: number, source: string): string {
  return source === "drawn" ? en.take.seedDrawn(seed) : en.take.withSource(String(seed), source);
}

function tempoWords({ tempoMap, tempoSource }: ResolvedBrief): string {
  const point = tempoMap?.points[0];
  if (tempoMap === undefined || point === undefined) return "";
  const changes = tempoMap.points.length - 1;
  const swing = tempoMap.swingRatio || 0.5;
  const parts = [en.take.tempoOf(numberWords(point.bpm), point.beatsPerBar || 4, point.beatUnit || 4)];
  if (swing > 0.5) parts.push(en.take.swing(Math.round(swing * 100)));
  if (changes > 0) parts.push(en.take.tempoChanges(changes));
  return en.take.withSource(parts.join(", "), tempoSource);
}

function lengthWords({ seconds, loop, instrumental }: ResolvedBrief): string {
  const parts = [en.take.lengthOf(numberWords(seconds))];
  if (loop) parts.push(en.take.loop);
  if (instrumental) parts.push(en.take.instrumental);
  return parts.join(", ");
}

function loudnessWords({ loudness }: Version): string {
  if (loudness === undefined) return "";
  if (loudness.lufs === undefined) return en.take.silent;
  const lufs = en.take.lufs(loudness.lufs);
  return loudness.truePeakDbtp === undefined ? lufs : `${lufs}, ${en.take.truePeak(loudness.truePeakDbtp)}`;
}

function labelWords(job: Job): string {
  return Object.entries(job.brief?.labels ?? {})
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");
}

function retentionWords({ purgeTime }: Job): string {
  const left = secondsBetween(timestampNow(), purgeTime);
  if (purgeTime === undefined || left === undefined) return en.take.keptForever;
  return en.take.keptUntil(momentWords(purgeTime), durationWords(left));
}

/** At most two decimals, none where they are 0. */
function numberWords(value: number): string {
  return String(Math.round(value * 100) / 100);
}

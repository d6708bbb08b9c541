// An audit row in words: what was recorded, under which name.

import type { AuditRow } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { at, numberAt, parseJson, textAt, textsOf } from "../download/json";
import { momentWords } from "../job/time_words";
import { en } from "../messages/en";

/** A name and what was recorded under it. */
export type Fact = readonly [name: string, value: string];

/** The facts of a row, in the order in which they are shown. What was not recorded is left out. */
export function factsOf(row: AuditRow): readonly Fact[] {
  const words = en.audit;
  const body = parseJson(row.bodyJson);
  const personal = parseJson(row.personalJson);
  const facts: Fact[] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") facts.push([name, value]);
  };
  if (row.createTime !== undefined) add(words.written, momentWords(row.createTime));
  add(words.tenant, textAt(body, "tenant"));
  add(words.prompt, promptWords(row, body));
  add(words.persona, personaWords(body, personal));
  add(words.seed, numberAt(body, "plan", "seed")?.toString());
  add(words.licence, licenceWords(body, personal));
  add(words.labels, labelWords(at(personal, "labels") ?? at(body, "labels")));
  add(words.loudness, loudnessWords(body));
  add(words.renderer, modelWords(body));
  add(words.separator, textAt(body, "separator", "name"));
  add(words.zip, textAt(body, "zip", "sha256"));
  add(words.bounce, textAt(body, "bounce", "sha256"));
  add(words.digest, row.digest);
  return facts;
}

/** Whether the row was written with a prompt that was erased later. */
export function isPromptErased(row: AuditRow): boolean {
  return row.prompt === "" && textAt(parseJson(row.bodyJson), "promptSha256") !== undefined;
}

function promptWords(row: AuditRow, body: unknown): string | undefined {
  if (row.prompt !== "") return row.prompt;
  return textAt(body, "promptSha256") === undefined ? undefined : en.audit.promptErased;
}

function personaWords(body: unknown, personal: unknown): string | undefined {
  const id = textAt(body, "plan", "personaId");
  const prefix = textAt(personal, "plan.personaPrefix") ?? textAt(body, "plan", "personaPrefix");
  return id === undefined || prefix === undefined ? id : en.audit.personaWithPrefix(id, prefix);
}

function licenceWords(body: unknown, personal: unknown): string {
  const words = en.audit;
  const licensee = textAt(personal, "licence.licensee") ?? textAt(body, "licence", "licensee");
  const parts = [
    licensee ? words.licensee(licensee) : words.noLicensee,
    textAt(body, "licence", "tier") ? words.tier(textAt(body, "licence", "tier") ?? "") : "",
    textAt(body, "licence", "covers") === "bounce" ? words.coversBounce : words.coversAll,
    textAt(body, "licence", "terms") ? words.terms(textAt(body, "licence", "terms") ?? "") : "",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function labelWords(labels: unknown): string {
  return textsOf(labels)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");
}

function loudnessWords(body: unknown): string {
  const lufs = numberAt(body, "lufs");
  const peak = numberAt(body, "truePeakDbtp");
  return lufs === undefined ? en.audit.silent : en.audit.loudnessOf(lufs, peak);
}

function modelWords(body: unknown): string | undefined {
  const name = textAt(body, "renderer", "name");
  if (name === undefined) return undefined;
  const digests = textsOf(at(body, "renderer", "digests"));
  return en.audit.rendererOf(name, textAt(body, "renderer", "licence") ?? "", digests.length);
}

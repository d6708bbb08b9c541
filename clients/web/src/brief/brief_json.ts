// A brief as proto3 JSON, the form in which other clients take it.

import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type Brief, BriefSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";

import { en } from "../messages/en";
import type { Draft } from "./draft";
import { draftOfBrief, keyParts } from "./draft_of_brief";

/** Of a MIDI file of 1 MiB in base64, and the rest. */
export const MAX_JSON_CHARACTERS = 2_000_000;

export type ReadJson =
  | { readonly draft: Draft; readonly problem?: undefined }
  | { readonly draft?: undefined; readonly problem: string };

export function briefToJson(brief: Brief): string {
  return toJsonString(BriefSchema, brief, { prettySpaces: 2 });
}

/** The form of a brief that is given as JSON, or what is wrong with it. */
export function draftFromJson(text: string): ReadJson {
  if (text.trim() === "") return { problem: en.brief.json.empty };
  if (text.length > MAX_JSON_CHARACTERS) return { problem: en.brief.json.tooLong };
  let brief: Brief;
  try {
    brief = fromJsonString(BriefSchema, text);
  } catch (thrown) {
    return { problem: en.brief.json.invalid(thrown instanceof Error ? thrown.message : String(thrown)) };
  }
  if (brief.key !== "" && keyParts(brief.key) === undefined) return { problem: en.brief.json.key(brief.key) };
  return { draft: draftOfBrief(brief) };
}

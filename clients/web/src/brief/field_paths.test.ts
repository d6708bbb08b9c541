import { Code } from "@connectrpc/connect";
import type { CallError } from "@sonichaos/client";
import { describe, expect, it } from "vitest";

import { FIRST_ROW, newDraft } from "./draft";
import { controlId, formPath, sortViolations } from "./field_paths";

const open = newDraft(1);
const map = { ...open, tempo: "map", points: [FIRST_ROW, { ...FIRST_ROW, id: 2, startSeconds: "8" }] } as const;

function refusal(patch: Partial<CallError>): CallError {
  return {
    code: Code.InvalidArgument,
    reason: "INVALID_FIELD",
    message: "in words",
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
    ...patch,
  };
}

describe("a violation stands", () => {
  it.each([
    ["brief.prompt", open, "brief.prompt"],
    ["brief.persona_id", open, "brief.persona_id"],
    ["brief.labels[project]", open, "brief.labels"],
    ["brief.licence.terms", open, "brief.licence.terms"],
    ["brief.tempo_map.points[1].bpm", map, "brief.tempo_map.points[1].bpm"],
    ["brief.tempo_map.swing_ratio", map, "brief.tempo_map.swing_ratio"],
    ["brief.tempo_map", map, "brief.tempo_map.points"],
    ["brief.tempo_map.points[2].bpm", map, "brief.tempo_map.points"],
    ["brief.tempo_map", { ...open, tempo: "bpm" }, "brief.bpm"],
    ["brief.tempo_map", open, "brief.prompt"],
    ["brief.score", { ...open, score: "midi" }, "brief.score.midi"],
    ["brief.score.chords", { ...open, score: "chords" }, "brief.score.chords"],
    ["brief.score.chords", open, undefined],
    ["priority", open, undefined],
    ["brief.prompted", open, undefined],
  ] as const)("of %s at the field that shows it", (path, draft, field) => {
    expect(formPath(path, draft)).toBe(field);
  });

  it("at its field with others of the same field, and the rest in a summary", () => {
    const sorted = sortViolations(
      refusal({
        violations: [
          { field: "brief.labels[a]", description: "too long" },
          { field: "brief.labels[b]", description: "too long too" },
          { field: "request_id", description: "is strange" },
        ],
      }),
      open,
    );
    expect([...sorted.problems]).toEqual([["brief.labels", "Too long. Too long too."]]);
    expect(sorted.others).toEqual(["request_id: is strange"]);
  });

  it("at its field also where the error names it in its metadata, or by its reason", () => {
    const lyrics = refusal({ reason: "UNSUPPORTED_BY_RENDERER", metadata: { field: "brief.lyrics" } });
    expect([...sortViolations(lyrics, open).problems]).toEqual([["brief.lyrics", "In words."]]);
    const persona = refusal({ reason: "PERSONA_NOT_FOUND", metadata: { persona_id: "nobdy" } });
    expect([...sortViolations(persona, open).problems]).toEqual([["brief.persona_id", "In words."]]);
  });

  it("nowhere if the error is about no field", () => {
    const sorted = sortViolations(refusal({ reason: "QUEUE_FULL" }), open);
    expect([sorted.problems.size, sorted.others.length]).toEqual([0, 0]);
  });
});

describe("ids of controls", () => {
  it("differ for different paths and hold nothing that a selector has to escape", () => {
    const paths = ["brief.prompt", "brief.tempo_map.points[0].bpm", "brief.tempo_map.points[10].bpm", "brief.labels"];
    const ids = paths.map(controlId);
    expect(new Set(ids).size).toBe(paths.length);
    expect(ids.every((id) => /^[a-z][a-z0-9-]*$/.test(id))).toBe(true);
  });
});

import { describe, expect, it } from "vitest";

import { newDraft } from "./draft";
import { reduceDraft } from "./use_draft";

describe("changes of the draft", () => {
  const state = {
    draft: newDraft(1),
    problems: new Map([
      ["brief.prompt", "a"],
      ["brief.tempo_map.points[0].bpm", "b"],
      ["brief.tempo_map.swing_ratio", "c"],
    ]),
    others: ["x"],
  };

  it("drop the problems of the field that is changed, and keep the others", () => {
    const next = reduceDraft(state, { type: "change", patch: { points: [] } });
    expect([...next.problems.keys()]).toEqual(["brief.prompt", "brief.tempo_map.swing_ratio"]);
    expect(next.others).toEqual([]);
  });

  it("drop the problems of a tempo map that is no longer chosen", () => {
    const next = reduceDraft(state, { type: "change", patch: { tempo: "bpm" } });
    expect([...next.problems.keys()]).toEqual(["brief.prompt"]);
  });

  it("drop all problems when another draft takes its place", () => {
    const next = reduceDraft(state, { type: "replace", draft: newDraft(2) });
    expect(next.problems.size).toBe(0);
    expect(next.draft.seed).toBe("2");
  });
});

import { describe, expect, it } from "vitest";

import { FIRST_ROW, type TempoRow } from "./draft";
import { addRow, checkRows, editRow, MAX_ROWS, removeRow } from "./tempo_rows";

function row(id: number, patch: Partial<TempoRow> = {}): TempoRow {
  return { ...FIRST_ROW, id, startSeconds: String((id - 1) * 10), ...patch };
}

describe("edits of the tempo map", () => {
  it("add a point eight bars after the last, with its tempo and metre", () => {
    const rows = addRow([row(1, { bpm: "90", beatsPerBar: "3" })]);
    expect(rows).toHaveLength(2);
    expect(rows[1]).toEqual({ id: 2, startSeconds: "16", bpm: "90", beatsPerBar: "3", beatUnit: "4" });
    expect(checkRows(rows)).toEqual(new Map());
  });

  it("add a point that is valid also after one that is not a number yet", () => {
    const rows = addRow([row(1, { bpm: "fast", beatsPerBar: "" })]);
    expect([...checkRows(rows).keys()].filter((path) => path.endsWith("start_seconds"))).toEqual([]);
  });

  it("give each row an id of its own, also after one was removed", () => {
    const rows = addRow(removeRow(addRow(addRow([row(1)])), 2));
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  });

  it("keep the first row, and at most 512", () => {
    expect(removeRow([row(1), row(2)], 1)).toEqual([row(1), row(2)]);
    expect(removeRow([row(1), row(2)], 2)).toEqual([row(1)]);
    const full = Array.from({ length: MAX_ROWS }, (_, index) => row(index + 1));
    expect(addRow(full)).toBe(full);
  });

  it("change one field of one row", () => {
    expect(editRow([row(1), row(2)], 2, "bpm", "99")).toEqual([row(1), row(2, { bpm: "99" })]);
  });
});

describe("checks of the tempo map", () => {
  it.each([
    [{ startSeconds: "1" }, "points[0].start_seconds"],
    [{ startSeconds: "-1" }, "points[0].start_seconds"],
    [{ startSeconds: "" }, "points[0].start_seconds"],
    [{ bpm: "29" }, "points[0].bpm"],
    [{ bpm: "301" }, "points[0].bpm"],
    [{ bpm: "x" }, "points[0].bpm"],
    [{ beatsPerBar: "0" }, "points[0].beats_per_bar"],
    [{ beatsPerBar: "17" }, "points[0].beats_per_bar"],
    [{ beatsPerBar: "2.5" }, "points[0].beats_per_bar"],
    [{ beatUnit: "3" }, "points[0].beat_unit"],
  ])("find %o", (patch, path) => {
    expect([...checkRows([row(1, patch)]).keys()]).toEqual([path]);
  });

  it("find points that are not in order", () => {
    expect([...checkRows([row(1), row(2), row(3, { startSeconds: "10" })]).keys()]).toEqual([
      "points[2].start_seconds",
    ]);
  });

  it("compare with the last start that is a number", () => {
    const rows = [row(1), row(2, { startSeconds: "?" }), row(3, { startSeconds: "0" })];
    expect([...checkRows(rows).keys()]).toEqual(["points[1].start_seconds", "points[2].start_seconds"]);
  });
});

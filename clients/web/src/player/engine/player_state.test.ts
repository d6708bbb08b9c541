import { expect, test } from "vitest";

import type { WavSource } from "./load_wav";
import { type Heard, LANES, type LaneName } from "./mix";
import { chooseHeard, type SideFiles, sourcesOf, sourcesToKeep, type Take } from "./player_state";

function source(name: string): WavSource {
  return { name, sha256: name, sizeBytes: 1, open: () => Promise.reject(new Error("not loaded in this test")) };
}

function side(version: number, changed: readonly LaneName[], lanes: readonly LaneName[] = LANES): SideFiles {
  const files = lanes.map((lane) => [lane, source(changed.includes(lane) ? `${lane}-v${version}` : lane)] as const);
  return { version, lufs: -16, files: Object.fromEntries(files) };
}

const TWO: Take = { frames: 1, grid: undefined, main: side(2, ["bounce", "bass"]), against: side(1, []) };
const BOUNCE_ONLY: Take = { frames: 1, grid: undefined, main: side(1, [], ["bounce"]), against: undefined };
const names = (sources: readonly WavSource[] | undefined) => sources?.map(({ sha256 }) => sha256);

test("bounces come first, stems only once they are used", () => {
  const wanted: Heard = { side: "main", listening: "bounce" };
  expect(names(sourcesToKeep(TWO, wanted, undefined, false))).toEqual(["bounce-v2", "bounce-v2", "bounce"]);
});

test("of the other version only what differs is a file of its own", () => {
  const wanted: Heard = { side: "main", listening: "stems" };
  const kept = new Set(names(sourcesToKeep(TWO, wanted, undefined, true)));
  expect([...kept]).toEqual(["bounce-v2", "drums", "bass-v2", "vocals", "other", "bounce", "bass"]);
});

test("stems can be heard only if the version has all of them", () => {
  expect(names(sourcesOf(BOUNCE_ONLY, { side: "main", listening: "bounce" }))).toEqual(["bounce"]);
  expect(sourcesOf(BOUNCE_ONLY, { side: "main", listening: "stems" })).toBeUndefined();
  expect(sourcesOf(BOUNCE_ONLY, { side: "against", listening: "bounce" })).toBeUndefined();
});

test("what was heard goes on until what is wanted is loaded", () => {
  const wanted: Heard = { side: "main", listening: "stems" };
  const before: Heard = { side: "against", listening: "bounce" };
  const is = (one: Heard) => (other: Heard) => one.side === other.side && one.listening === other.listening;
  expect(chooseHeard(wanted, before, () => true)).toEqual(wanted);
  expect(chooseHeard(wanted, before, is(before))).toEqual(before);
  expect(chooseHeard(wanted, before, is({ side: "main", listening: "bounce" }))).toEqual({
    side: "main",
    listening: "bounce",
  });
  expect(chooseHeard(wanted, before, () => false)).toBeUndefined();
});

import { expect, test } from "vitest";

import { loudnessOfManifest } from "./manifest_loudness";

test("loudness of all files of a manifest; silence has none", () => {
  const file = (lufs: number | null) => ({ file: "x.wav", lufs, truePeakDbtp: -3 });
  const found = loudnessOfManifest({
    lufs: -16,
    bounce: file(-16),
    stems: { files: { drums: file(-20), bass: file(-21), vocals: file(null), other: file(-22) } },
  });
  expect(found.bounce).toEqual({ lufs: -16, truePeakDbtp: -3 });
  expect(found.drums?.lufs).toBe(-20);
  expect(found.vocals?.lufs).toBeUndefined();
});

test("a manifest without stems, or of another shape, has no loudness of stems", () => {
  expect(loudnessOfManifest({ bounce: { lufs: -9 }, stems: null }).bass?.lufs).toBeUndefined();
  expect(loudnessOfManifest("no manifest").bounce?.lufs).toBeUndefined();
});

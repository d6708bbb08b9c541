import { describe, expect, it } from "vitest";

import { type Draft, FIRST_ROW, newDraft } from "./draft";
import { draftFromText, draftToText } from "./stored_draft";

const full: Draft = {
  prompt: "slow strings",
  personaId: "midnight-808",
  seconds: "12,",
  loop: true,
  tempo: "map",
  bpm: "9",
  points: [FIRST_ROW, { id: 2, startSeconds: "8", bpm: "x", beatsPerBar: "3", beatUnit: "8" }],
  firstDownbeatSeconds: "0.5",
  swingRatio: "0.6",
  tonic: "Eb",
  mode: "major",
  seed: "123",
  seedLocked: true,
  instrumental: true,
  stems: true,
  stemMode: "raw",
  score: "midi",
  chords: "Am",
  midi: { name: "song.mid", base64: "TVRoZA==" },
  lyrics: "la",
  targetLufs: "-14",
  tier: "sync",
  licensee: "me",
  terms: "all",
  covers: "bounce",
  labels: [{ id: 1, key: "a", value: "b" }],
  expireTime: "2027-01-01T00:00",
};

describe("a stored draft", () => {
  it("comes back as it was, also where it is not valid yet", () => {
    expect(draftFromText(draftToText(full))).toEqual(full);
  });

  it.each(["", "{", "null", "[]", '{"version":0,"draft":{}}', '{"version":1}', '{"version":1,"draft":"x"}'])(
    "of another version or of no draft is none: %s",
    (text) => {
      expect(draftFromText(text)).toBeUndefined();
    },
  );

  it("has the values of a new one where its own are of another type", () => {
    const stored = { prompt: 5, tempo: "waltz", points: [], labels: [null], midi: { base64: "<b>" }, seed: "4" };
    const draft = draftFromText(JSON.stringify({ version: 1, draft: stored }));
    expect(draft).toEqual({ ...newDraft(4), labels: [{ id: 1, key: "", value: "" }] });
  });
});

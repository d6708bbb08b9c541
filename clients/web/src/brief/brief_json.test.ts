import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Brief,
  BriefSchema,
  LicenceCoverage,
  ResolvedBriefSchema,
  StemMode,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { describe, expect, it } from "vitest";

import { briefToJson, draftFromJson } from "./brief_json";
import { briefOfDraft } from "./brief_of_draft";
import { newDraft } from "./draft";
import { draftOfTake } from "./draft_of_brief";

const NOW = new Date("2026-11-29T12:00:00Z");

function reread(brief: Brief): Brief {
  const { draft, problem } = draftFromJson(briefToJson(brief));
  expect(problem).toBeUndefined();
  const read = briefOfDraft(draft ?? newDraft(), undefined, NOW);
  expect([...read.problems]).toEqual([]);
  return read.brief;
}

const least = { prompt: "slow strings", personaId: "midnight-808", seed: 7 };

describe("a brief as JSON", () => {
  it.each([
    create(BriefSchema, least),
    create(BriefSchema, { ...least, seed: 4_294_967_295, seconds: 12.5, loop: true, instrumental: true }),
    create(BriefSchema, { ...least, tempo: { case: "bpm", value: 92.5 }, key: "Eb major", targetLufs: -14 }),
    create(BriefSchema, { ...least, stems: true, stemMode: StemMode.RAW, lyrics: "la\nla" }),
    create(BriefSchema, { ...least, score: { source: { case: "chords", value: "Am F C G" } } }),
    create(BriefSchema, { ...least, score: { source: { case: "midi", value: new Uint8Array([77, 84, 104, 100]) } } }),
    create(BriefSchema, {
      ...least,
      tempo: {
        case: "tempoMap",
        value: {
          points: [
            { startSeconds: 0, bpm: 90, beatsPerBar: 3, beatUnit: 8 },
            { startSeconds: 8.125, bpm: 120.25, beatsPerBar: 4, beatUnit: 4 },
          ],
          firstDownbeatSeconds: 0.5,
          swingRatio: 0.667,
        },
      },
    }),
    create(BriefSchema, {
      ...least,
      licence: { tier: "sync", licensee: "A & B", terms: "https://example.com", covers: LicenceCoverage.BOUNCE },
      labels: { project: "night", take: "3" },
      expireTime: timestampFromDate(new Date("2027-01-02T03:04:05Z")),
    }),
  ])("goes through the form unchanged: %#", (brief) => {
    expect(briefToJson(reread(brief))).toBe(briefToJson(brief));
  });

  it("without a seed gets one, which is not locked", () => {
    const { draft } = draftFromJson('{"prompt":"x","personaId":"p"}');
    expect(draft?.seedLocked).toBe(false);
    expect(briefOfDraft(draft ?? newDraft()).brief.seed).toBeDefined();
  });

  it.each([
    ["", "Paste a brief first."],
    ["{", "not a brief"],
    ["[]", "not a brief"],
    ['{"promt":"x"}', "promt"],
    ['{"seconds":"long"}', "seconds"],
    ['{"key":"H dur"}', "H dur"],
    [" ".repeat(2_000_001), "Paste a brief first."],
    ["x".repeat(2_000_001), "longer"],
  ])("that is none is refused with a reason", (text, words) => {
    const read = draftFromJson(text);
    expect(read.draft).toBeUndefined();
    expect(read.problem).toContain(words);
  });
});

describe("a draft", () => {
  it("has a prompt of up to 2000 characters, as the services count them", () => {
    const problem = (prompt: string) => briefOfDraft({ ...newDraft(), prompt }).problems.get("brief.prompt");
    expect(problem("🎹".repeat(2000))).toBeUndefined();
    expect(problem("x".repeat(2001))).toMatch(/2001/);
  });

  it("is wrong at the paths that the service uses", () => {
    const { problems } = briefOfDraft(
      {
        ...newDraft(),
        seconds: "181",
        seed: "x",
        tempo: "bpm",
        bpm: "29",
        score: "chords",
        targetLufs: "0",
        labels: [{ id: 1, key: "", value: "v" }],
        expireTime: "2020-01-01T00:00",
      },
      undefined,
      NOW,
    );
    expect(new Set(problems.keys())).toEqual(
      new Set([
        "brief.bpm",
        "brief.expire_time",
        "brief.labels",
        "brief.persona_id",
        "brief.prompt",
        "brief.score.chords",
        "brief.seconds",
        "brief.seed",
        "brief.target_lufs",
      ]),
    );
  });

  it("leaves out what the renderer does not offer", () => {
    const limits = { minSeconds: 2, maxSeconds: 60, supportsScore: false, supportsLyrics: false };
    const draft = { ...newDraft(1), prompt: "x", personaId: "p", score: "chords", chords: "Am", lyrics: "la" } as const;
    const { brief, problems } = briefOfDraft(draft, limits);
    expect([...problems]).toEqual([]);
    expect(brief.score).toBeUndefined();
    expect(brief.lyrics).toBe("");
    expect([...briefOfDraft({ ...draft, seconds: "61" }, limits).problems.keys()]).toEqual(["brief.seconds"]);
  });

  it("sends no tempo that is not chosen", () => {
    const draft = { ...newDraft(1), prompt: "x", personaId: "p", tempo: "open", bpm: "x" } as const;
    const { brief, problems } = briefOfDraft(draft);
    expect([...problems]).toEqual([]);
    expect(brief.tempo.case).toBeUndefined();
  });

  it("may have a comma in its numbers, but no label with a key that is wrong or there twice", () => {
    const draft = { ...newDraft(1), prompt: "x", personaId: "p", seconds: "12,5" };
    expect(briefOfDraft(draft).brief.seconds).toBe(12.5);
    for (const key of ["", "__proto__", "a b", "x".repeat(64)]) {
      const wrong = [{ id: 1, key, value: "1" }];
      expect([...briefOfDraft({ ...draft, labels: wrong }).problems.keys()]).toEqual(["brief.labels"]);
    }
    const labels = [
      { id: 1, key: "a", value: "1" },
      { id: 2, key: "a ", value: "2" },
    ];
    expect([...briefOfDraft({ ...draft, labels }).problems.keys()]).toEqual(["brief.labels"]);
  });
});

describe("the brief of a take", () => {
  const point = { startSeconds: 0, bpm: 118, beatsPerBar: 4, beatUnit: 4 };
  const resolved = {
    prompt: "slow strings",
    personaId: "midnight-808",
    seed: 9,
    seconds: 20,
    tempoMap: { points: [point], firstDownbeatSeconds: 0, swingRatio: 0.5 },
    key: "A minor",
    tempoSource: "drawn",
    keySource: "prompt",
    seedSource: "drawn",
  };

  it("leaves open what the service chose, names it, and locks the seed", () => {
    const { draft, chosenBpm, chosenKey } = draftOfTake(create(ResolvedBriefSchema, resolved));
    expect(draft).toMatchObject({ tempo: "open", tonic: "", seed: "9", seedLocked: true, seconds: "20" });
    expect([chosenBpm, chosenKey]).toEqual([118, "A minor"]);
  });

  it("fills in what the caller gave", () => {
    const given = create(ResolvedBriefSchema, { ...resolved, tempoSource: "caller", keySource: "caller" });
    const { draft, chosenBpm, chosenKey } = draftOfTake(given);
    expect(draft).toMatchObject({ tempo: "bpm", bpm: "118", tonic: "A", mode: "minor" });
    expect([chosenBpm, chosenKey]).toEqual([undefined, ""]);
  });

  it("keeps a metre, an upbeat or swing as a tempo map", () => {
    for (const map of [
      { points: [{ ...point, beatsPerBar: 3 }], swingRatio: 0.5 },
      { points: [point], firstDownbeatSeconds: 0.4, swingRatio: 0.5 },
      { points: [point], swingRatio: 0.6 },
    ]) {
      const brief = create(ResolvedBriefSchema, { ...resolved, tempoSource: "caller", tempoMap: map });
      expect(draftOfTake(brief).draft.tempo).toBe("map");
    }
  });

  it("says what is not stored", () => {
    const brief = create(ResolvedBriefSchema, { ...resolved, prompt: "", score: { midiSha256: "ab" } });
    const restored = draftOfTake(brief);
    expect(restored.midiMissing).toBe(true);
    expect(restored.promptMissing).toBe(true);
    expect(restored.draft).toMatchObject({ score: "midi", midi: undefined });
  });
});

import { execFileSync } from "node:child_process";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  LicenceCoverage,
  type ResolvedBriefSchema,
  StemMode,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { JobSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { cliCommand, quoted } from "./cli_command";

function command(brief: MessageInitShape<typeof ResolvedBriefSchema>): string {
  return cliCommand(create(JobSchema, { jobId: "j-1", brief: { personaId: "velvet-lounge", ...brief } }));
}

/** The words that a POSIX shell makes of a command. */
function wordsOf(text: string): string[] {
  return execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${text}`], { encoding: "utf8" })
    .split("\0")
    .slice(0, -1);
}

describe("the command of a take", () => {
  it.each(["plain", "it's a waltz", '$(rm -rf x) `y` \\ "z"', "two\nlines", "-x", "a;b&c|d>e*?[f]~", "ünïcode 808"])(
    "gives a shell %j as one word",
    (prompt) => {
      expect(wordsOf(quoted(prompt))).toEqual([prompt]);
    },
  );

  it("has what the caller chose, and leaves out what follows from seed and prompt", () => {
    const brief = { prompt: "a waltz", seed: 7, seconds: 20, key: "Eb minor", targetLufs: -16 };
    const drawn = { keySource: "drawn", tempoSource: "prompt", tempoMap: { points: [{ bpm: 79 }] } };
    expect(command({ ...brief, ...drawn })).toBe(
      "sonichaos render --prompt 'a waltz' --persona velvet-lounge --seed 7 --seconds 20",
    );
    expect(command({ ...brief, ...drawn, keySource: "caller", targetLufs: -14 })).toBe(
      "sonichaos render --prompt 'a waltz' --persona velvet-lounge --seed 7 --seconds 20 --key 'Eb minor' --target-lufs -14",
    );
  });

  it("names one plain tempo, and a file for any other tempo map", () => {
    const point = { bpm: 92.5, beatsPerBar: 4, beatUnit: 4 };
    const plain = { tempoSource: "caller", tempoMap: { points: [point], swingRatio: 0.5 } };
    expect(command(plain)).toContain("--bpm 92.5");
    expect(command({ ...plain, tempoMap: { points: [point], swingRatio: 0.6 } })).toContain(
      "--tempo-map j-1-v1-manifest.json",
    );
    expect(command({ ...plain, tempoMap: { points: [{ ...point, beatsPerBar: 3 }], swingRatio: 0.5 } })).toContain(
      "--tempo-map",
    );
  });

  it("has stems, labels, terms and score", () => {
    const words = wordsOf(
      command({
        prompt: "x",
        stems: true,
        stemMode: StemMode.RAW,
        instrumental: true,
        loop: true,
        labels: { project: "film one" },
        licence: { tier: "sync", licensee: "North 'n' South", covers: LicenceCoverage.BOUNCE },
        score: { chords: "| Am F | C |" },
      }),
    );
    expect(words).toEqual(
      expect.arrayContaining(["--stems", "--instrumental", "--loop", "raw", "project=film one", "North 'n' South"]),
    );
    expect(words).toEqual(expect.arrayContaining(["--licence-covers", "bounce", "--chords", "| Am F | C |"]));
  });

  it("is that of an upload for an upload", () => {
    const job = create(JobSchema, { jobId: "j-1", brief: { fileName: "my mix.wav" } });
    expect(cliCommand(job)).toBe("sonichaos separate 'my mix.wav'");
  });
});

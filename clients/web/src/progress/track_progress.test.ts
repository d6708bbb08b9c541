import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { JobState, ProgressTrack, Stage, VersionSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { activeTrack, announcement, titleWhile, tracksOf } from "./track_progress";

function version(fields: MessageInitShape<typeof VersionSchema>) {
  return create(VersionSchema, { number: 1, state: JobState.RUNNING, ...fields });
}

const rendering = { track: ProgressTrack.RENDER, stage: Stage.VOCODE, fraction: 0.999, sequence: 4n, attempt: 1 };
const separating = { track: ProgressTrack.STEMS, stage: Stage.SEPARATE, fraction: 0.5, sequence: 9n, attempt: 2 };

describe("the bars", () => {
  it("are one for a take without stems, two with, and one for an upload", () => {
    const names = (stemsWanted: boolean, upload: boolean) =>
      tracksOf(version({ stemsWanted }), upload).map((track) => track.name);
    expect(names(false, false)).toEqual(["Render"]);
    expect(names(true, false)).toEqual(["Render", "Stems"]);
    expect(names(true, true)).toEqual(["Stems"]);
  });

  it("say 100 % only when the files are stored", () => {
    const running = tracksOf(version({ progress: [rendering] }), false);
    expect(running[0]).toMatchObject({ percent: 99, stage: "Turning it into audio" });
    const stored = tracksOf(version({ progress: [rendering], files: { bounce: { key: "b" } } }), false);
    expect(stored[0]).toMatchObject({ percent: 100, stage: "Done", secondsLeft: undefined });
  });

  it("take the render of a re-render for done once its stems begin, though its bounce is stored last", () => {
    const tracks = tracksOf(
      version({ number: 2, baseVersion: 1, stemsWanted: true, progress: [rendering, separating] }),
      false,
    );
    expect(tracks.map((track) => track.percent)).toEqual([100, 50]);
    expect(activeTrack(tracks)?.name).toBe("Stems");
    expect(tracks[1]?.attempt).toBe(2);
  });

  it("say that the stems follow before they begin", () => {
    const tracks = tracksOf(version({ stemsWanted: true, progress: [rendering] }), false);
    expect(tracks[1]).toMatchObject({ stage: "After the render", hasStarted: false, percent: 0 });
  });
});

describe("what is announced", () => {
  it("is the bar that moves, or the state", () => {
    const running = version({ progress: [{ ...rendering, fraction: 0.5 }] });
    const tracks = tracksOf(running, false);
    expect(announcement(running, tracks)).toBe("Render: 50 %. Turning it into audio.");
    expect(titleWhile(running, tracks, "slow waltz")).toBe("50 % Render – slow waltz");
    const queued = version({ state: JobState.QUEUED });
    expect(titleWhile(queued, tracksOf(queued, false), "slow waltz")).toBe("Waiting – slow waltz");
    const failed = version({ state: JobState.FAILED });
    expect(announcement(failed, [])).toBe("Failed");
  });
});

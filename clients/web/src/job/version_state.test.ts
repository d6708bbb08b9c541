import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema, RetryInfoSchema } from "@sonichaos/client/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "@sonichaos/client/gen/google/rpc/status_pb.js";
import { JobSchema, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { isUpload, nameOf, newestPlayable, openVersion, reasonOf } from "./version_state";

const bounce = { bounce: { key: "bounce.wav" } };
const deleteTime = { seconds: 1n };

describe("the versions of a job", () => {
  const job = create(JobSchema, {
    jobId: "j-1",
    brief: { personaId: "velvet-lounge" },
    versions: [
      { number: 1, state: JobState.DONE, files: bounce },
      { number: 2, state: JobState.FAILED, files: bounce },
      { number: 3, state: JobState.RUNNING },
      { number: 4, state: JobState.DONE, files: bounce, deleteTime },
    ],
  });

  it("can be played once their bounce is stored, also after their stems failed, and not once they are deleted", () => {
    expect(newestPlayable(job)?.number).toBe(2);
  });

  it("are in progress until they end", () => {
    expect(openVersion(job)?.number).toBe(3);
    expect(openVersion(create(JobSchema, { versions: [{ number: 1, state: JobState.CANCELLED }] }))).toBeUndefined();
  });

  it("belong to a take or to an upload, which is called by its prompt, its file or its id", () => {
    expect(isUpload(job)).toBe(false);
    expect(nameOf(job)).toBe("j-1");
    const upload = create(JobSchema, { brief: { fileName: "mix.wav" } });
    expect(isUpload(upload)).toBe(true);
    expect(nameOf(upload)).toBe("mix.wav");
  });
});

describe("why a version failed", () => {
  it("is read from the details of its status", () => {
    const info = create(ErrorInfoSchema, { reason: "STORE_UNAVAILABLE", metadata: { stage: "store" } });
    const status = create(StatusSchema, {
      message: "the store does not answer",
      details: [anyPack(ErrorInfoSchema, info), anyPack(RetryInfoSchema, create(RetryInfoSchema))],
    });
    expect(reasonOf(status)).toEqual({
      message: "the store does not answer",
      reason: "STORE_UNAVAILABLE",
      metadata: { stage: "store" },
      retryHelps: true,
    });
  });

  it("is only a message where the service gave no details", () => {
    expect(reasonOf(create(StatusSchema, { message: "broken" }))).toEqual({
      message: "broken",
      reason: "",
      metadata: {},
      retryHelps: false,
    });
  });
});

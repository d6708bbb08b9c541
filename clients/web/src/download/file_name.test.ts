import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { describe, expect, it } from "vitest";

import { entryFileName, fileName, sizeWords } from "./file_name";

describe("names of saved files", () => {
  it("name the take, the version and what is in them", () => {
    expect(fileName("j-1", 1, FileKind.ZIP)).toBe("j-1-v1.zip");
    expect(fileName("j-1", 2, FileKind.BOUNCE)).toBe("j-1-v2-bounce.wav");
    expect(fileName("j-1", 1, FileKind.MIDI)).toBe("j-1-v1.mid");
    expect(entryFileName("j-1", 3, "drums.wav")).toBe("j-1-v3-drums.wav");
  });

  it("never contain a path", () => {
    expect(entryFileName("j-1", 1, "../../etc/passwd")).toBe("j-1-v1-.._.._etc_passwd");
  });
});

describe("sizes", () => {
  it.each([
    [0n, "0 B"],
    [999n, "999 B"],
    [1734n, "1.7 kB"],
    [26_477_725n, "26.5 MB"],
    [999_960n, "1.0 MB"],
    [238_140_000n, "238 MB"],
    [5_000_000_000n, "5.0 GB"],
  ])("%s bytes are %s", (bytes, words) => {
    expect(sizeWords(bytes)).toBe(words);
  });
});

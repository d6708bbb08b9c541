import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { VersionSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { AuditRowSchema } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { describe, expect, it } from "vitest";

import { type CheckedFile, type FetchFile, verifyFiles } from "./verify_files";

const NAMES = ["bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav"] as const;

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const CONTENT = new Map<string, string>(NAMES.map((name) => [name, `audio of ${name}`]));
const fact = (name: string) => ({ file: name, sha256: digest(CONTENT.get(name) ?? "") });
CONTENT.set(
  "manifest.json",
  JSON.stringify({
    bounce: fact("bounce.wav"),
    stems: {
      files: {
        drums: fact("drums.wav"),
        bass: fact("bass.wav"),
        vocals: fact("vocals.wav"),
        other: fact("other.wav"),
      },
    },
  }),
);
const DIGESTS = new Map([...CONTENT].map(([name, text]) => [name, digest(text)]));

const VERSION = create(VersionSchema, {
  number: 1,
  files: { zipEntries: [...DIGESTS].map(([name, sha256]) => ({ name, sha256 })) },
});
const ROW = create(AuditRowSchema, {
  version: 1,
  bodyJson: JSON.stringify({
    bounce: { sha256: DIGESTS.get("bounce.wav") },
    stems: { drums: DIGESTS.get("drums.wav"), bass: "0".repeat(64) },
    manifestSha256: DIGESTS.get("manifest.json"),
  }),
});

/** A store that holds this content, with the named files changed. */
function store(changed: Readonly<Record<string, string>> = {}): FetchFile {
  return (_, entry) => {
    const name = entry?.name ?? "";
    return Promise.resolve(bytesOf(changed[name] ?? CONTENT.get(name) ?? ""));
  };
}

async function check(fetchFile: FetchFile, rows = [ROW]): Promise<Map<string, CheckedFile>> {
  const checked = new Map<string, CheckedFile>();
  for await (const file of verifyFiles(VERSION, rows, fetchFile, {})) checked.set(file.name, file);
  return checked;
}

describe("checking the files of a version", () => {
  it("compares each file with job, manifest and audit chain", async () => {
    const checked = await check(store());
    expect([...checked.keys()]).toEqual(["manifest.json", ...NAMES]);
    expect(checked.get("drums.wav")).toMatchObject({ agree: ["job", "manifest", "audit"], differ: [] });
    expect(checked.get("manifest.json")).toMatchObject({ agree: ["job", "audit"], differ: [] });
    expect(checked.get("vocals.wav")).toMatchObject({ agree: ["job", "manifest"], differ: [] });
  });

  it("names the witness that says something else", async () => {
    const checked = await check(store());
    expect(checked.get("bass.wav")).toMatchObject({ agree: ["job", "manifest"], differ: ["audit"] });
  });

  it("finds a changed file", async () => {
    const checked = await check(store({ "drums.wav": "changed" }));
    expect(checked.get("drums.wav")).toMatchObject({ agree: [], differ: ["job", "manifest", "audit"] });
  });

  it("finds a changed manifest, and that it disagrees with the files", async () => {
    const checked = await check(store({ "manifest.json": JSON.stringify({ bounce: { sha256: "f".repeat(64) } }) }));
    expect(checked.get("manifest.json")?.differ).toEqual(["job", "audit"]);
    expect(checked.get("bounce.wav")).toMatchObject({ agree: ["job", "audit"], differ: ["manifest"] });
  });

  it("checks manifest and bounce of a version without stems", async () => {
    const version = create(VersionSchema, {
      number: 1,
      files: { bounce: { sha256: digest("b") }, manifest: { sha256: digest("{}") } },
    });
    const fetched: FileKind[] = [];
    const fetchFile: FetchFile = (kind) => {
      fetched.push(kind);
      return Promise.resolve(bytesOf(kind === FileKind.BOUNCE ? "b" : "{}"));
    };
    const checked: CheckedFile[] = [];
    for await (const file of verifyFiles(version, [], fetchFile, {})) checked.push(file);
    expect(fetched).toEqual([FileKind.MANIFEST, FileKind.BOUNCE]);
    expect(checked.map((file) => file.agree)).toEqual([["job"], ["job"]]);
  });
});

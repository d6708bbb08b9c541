// The player's engine in the browser, with the files of a real take: every stem on its sample, and all of them the bounce.

import { fileURLToPath } from "node:url";
import { rangeOf } from "@sonichaos/client";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { build } from "vite";
import { expect, it } from "vitest";

import { jobs, makeTake } from "./support/api";
import type { EngineFacts } from "./support/engine_check";
import { inTab } from "./support/tab";

/** One step of 24 bits. Sums of 32-bit floats are exact to half of that. */
const ONE_STEP = 2 ** -23;

/** The module of the check with the engine, as one script. */
async function bundledCheck(): Promise<string> {
  const entry = fileURLToPath(new URL("support/engine_check.ts", import.meta.url));
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, lib: { entry, formats: ["es"], fileName: "engine_check" } },
  });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("the bundle has no output");
  return output.output[0].code;
}

/** The files in the ZIP of a job's newest version, by name. */
async function filesOf(jobId: string): Promise<Map<string, Buffer>> {
  const { job } = await jobs.getJob({ jobId });
  const { url } = await jobs.createSignedUrl({ jobId, kind: FileKind.ZIP });
  const files = new Map<string, Buffer>();
  for (const entry of job?.versions.at(-1)?.files?.zipEntries ?? []) {
    const answer = await fetch(url, { headers: { Range: rangeOf(entry) } });
    files.set(entry.name, Buffer.from(await answer.arrayBuffer()));
  }
  return files;
}

it("plays every stem on its sample, and all stems together as the bounce", async () => {
  const { jobId } = await makeTake("drums, bass, a voice", true);
  const [script, files] = await Promise.all([bundledCheck(), filesOf(jobId)]);
  expect([...files.keys()]).toContain("vocals.wav");
  await inTab({}, async (page) => {
    await page.route("**/engine-check/*", (route) => {
      const name = new URL(route.request().url()).pathname.split("/").at(-1) ?? "";
      const body = name === "engine_check.js" ? script : files.get(name);
      if (body === undefined) return route.abort();
      return route.fulfill({ body, contentType: name.endsWith(".js") ? "text/javascript" : "audio/wav" });
    });
    const facts = (await page.evaluate(
      `import("/engine-check/engine_check.js").then(({ checkEngine }) => checkEngine("/engine-check"))`,
    )) as EngineFacts;
    const [bouncePeak, quietestPeak] = facts.peaks;
    expect(bouncePeak).toBeGreaterThan(0.01);
    expect(quietestPeak).toBeGreaterThan(0);
    expect(facts.decoded).toBe(0);
    expect(facts.soloed).toBe(0);
    expect(facts.bounce).toBe(0);
    expect(facts.mixed).toBeLessThan(ONE_STEP);
    expect(facts.sumAndBounce).toBeLessThan(ONE_STEP);
  });
});

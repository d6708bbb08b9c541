import { createServer, type RequestListener, type Server } from "node:http";
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ZipEntrySchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { afterEach, describe, expect, it } from "vitest";

import { fetchSigned } from "./fetch_signed";

const FILE = Buffer.from("0123456789");
const ENTRY = create(ZipEntrySchema, { name: "drums.wav", offsetBytes: 3n, sizeBytes: 4n });
let server: Server | undefined;

/** A file server on loopback; returns its address. */
async function serve(answer: RequestListener): Promise<string> {
  const started = createServer(answer);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const address = started.address();
  if (address === null || typeof address === "string") throw new Error("expected a port");
  return `http://127.0.0.1:${address.port}`;
}

/** Answers like the file server of signed URLs. */
const files: RequestListener = (request, response) => {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (request.url === "/expired") response.writeHead(403).end();
  else if (range === null) response.writeHead(200, { "Content-Length": FILE.length }).end(FILE);
  else response.writeHead(206).end(FILE.subarray(Number(range[1]), Number(range[2]) + 1));
};

/** The signed URLs that are given out, one after another. */
function signs(...urls: readonly string[]): () => Promise<string> {
  const left = [...urls];
  return () => {
    const url = left.shift();
    return url === undefined ? Promise.reject(new Error("signed too often")) : Promise.resolve(url);
  };
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

afterEach(() => {
  server?.close();
  server = undefined;
});

describe("fetching by signed URLs", () => {
  it("brings a whole file, or one file of a ZIP alone", async () => {
    const url = await serve(files);
    expect(text(await fetchSigned(signs(url), undefined, {}))).toBe("0123456789");
    expect(text(await fetchSigned(signs(url), ENTRY, {}))).toBe("3456");
  });

  it("signs an expired URL again, once", async () => {
    const url = await serve(files);
    expect(text(await fetchSigned(signs(`${url}/expired`, url), ENTRY, {}))).toBe("3456");
    const refused = fetchSigned(signs(`${url}/expired`, `${url}/expired`), ENTRY, {});
    await expect(refused).rejects.toThrow("expected HTTP 206 from the file server, got 403");
  });

  it("does not take the whole ZIP for one of its files", async () => {
    const url = await serve((_, response) => response.writeHead(200).end(FILE));
    await expect(fetchSigned(signs(url), ENTRY, {})).rejects.toBeInstanceOf(ConnectError);
  });

  it("says how much has arrived, and can be stopped", async () => {
    const stopping = new AbortController();
    const url = await serve((_, response) => {
      response.writeHead(206);
      response.write(FILE.subarray(3, 5)); // the rest never comes
    });
    const seen: number[] = [];
    const onProgress = (fraction: number): void => {
      seen.push(fraction);
      stopping.abort();
    };
    await expect(fetchSigned(signs(url), ENTRY, { onProgress, signal: stopping.signal })).rejects.toThrow();
    expect(seen).toEqual([0.5]);
    server?.closeAllConnections();
  });

  it("fails where the file is cut", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "Content-Length": FILE.length });
      response.write(FILE.subarray(0, 4), () => response.destroy());
    });
    await expect(fetchSigned(signs(url), undefined, {})).rejects.toThrow();
  });
});

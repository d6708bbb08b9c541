// The events of jobs as a page has received them: its calls of WatchJob, decoded.

import { fromBinary } from "@bufbuild/protobuf";
import {
  WatchJobRequestSchema,
  WatchJobResponseSchema,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import type { BrowserContext } from "playwright-core";

const PREFIX_BYTES = 5;
const TRAILERS = 0x80;

/** One call of WatchJob: after which event it asked, and the sequence numbers of the events that it got. */
export interface Watch {
  readonly jobId: string;
  readonly after: bigint;
  readonly sequences: readonly bigint[];
}

declare global {
  interface Window {
    reportWatch: (request: number[]) => Promise<number>;
    reportWatched: (call: number, bytes: number[]) => Promise<void>;
  }
}

/** Records each WatchJob call of the context's pages that are opened from now on. */
export async function recordWatches(context: BrowserContext): Promise<() => readonly Watch[]> {
  const calls: { request: number[]; answer: number[] }[] = [];
  await context.exposeFunction("reportWatch", (request: number[]) => calls.push({ request, answer: [] }) - 1);
  await context.exposeFunction("reportWatched", (call: number, bytes: number[]) => {
    calls[call]?.answer.push(...bytes);
  });
  await context.addInitScript(teeWatches);
  return () =>
    calls.map(({ request, answer }) => {
      const [asked = new Uint8Array()] = messagesIn(request);
      const { jobId, afterSequence } = fromBinary(WatchJobRequestSchema, asked);
      const events = messagesIn(answer).map((message) => fromBinary(WatchJobResponseSchema, message).event);
      return { jobId, after: afterSequence, sequences: events.flatMap((event) => (event ? [event.sequence] : [])) };
    });
}

/** Runs in the page before its scripts. */
function teeWatches(): void {
  const original = window.fetch;
  window.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (!url.endsWith("/WatchJob")) return original(input, init);
    const sent = await new Response(init?.body ?? null).arrayBuffer();
    const call = await window.reportWatch([...new Uint8Array(sent)]);
    const response = await original(input, init);
    if (response.body === null) return response;
    const reported = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        async transform(chunk, controller) {
          await window.reportWatched(call, [...chunk]);
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(reported, { headers: response.headers, status: response.status });
  };
}

/** The messages in the frames of gRPC-Web. A frame that a disconnect has cut is none. */
function messagesIn(bytes: readonly number[]): Uint8Array[] {
  const body = Uint8Array.from(bytes);
  const view = new DataView(body.buffer);
  const messages: Uint8Array[] = [];
  for (let offset = 0; offset + PREFIX_BYTES <= body.length; ) {
    const begin = offset + PREFIX_BYTES;
    const end = begin + view.getUint32(offset + 1);
    if (end <= body.length && view.getUint8(offset) !== TRAILERS) messages.push(body.subarray(begin, end));
    offset = end;
  }
  return messages;
}

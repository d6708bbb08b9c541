// Submits a brief. Each attempt for the same brief has the same request id.

import type { Brief } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { useRef, useState } from "react";

import { renders } from "../api/calls";
import { briefToJson } from "./brief_json";
import { type OpenRequest, openRequest, requestFor } from "./request_id";

const TIMEOUT_MS = 60_000;

export interface Submission {
  readonly sending: boolean;
  /** What the last attempt has thrown, unless it was about fields. */
  readonly problem: unknown;
  /** Resolves to the id of the job, or to undefined if the call failed. */
  readonly submit: (brief: Brief) => Promise<string | undefined>;
  readonly forgetProblem: () => void;
}

/** `onRefused` returns true if it shows the error itself. */
export function useSubmission(onRefused: (thrown: unknown) => boolean): Submission {
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const open = useRef<OpenRequest>(undefined);

  const submit = async (brief: Brief): Promise<string | undefined> => {
    const request = requestFor(briefToJson(brief), open.current ?? openRequest.load());
    open.current = request;
    openRequest.save(request);
    setSending(true);
    setProblem(undefined);
    try {
      const { job } = await renders.createRender({ requestId: request.requestId, brief }, { timeoutMs: TIMEOUT_MS });
      open.current = undefined;
      openRequest.clear();
      return job?.jobId;
    } catch (thrown) {
      if (!onRefused(thrown)) setProblem(thrown);
      return;
    } finally {
      setSending(false);
    }
  };

  return { sending, problem, submit, forgetProblem: () => setProblem(undefined) };
}

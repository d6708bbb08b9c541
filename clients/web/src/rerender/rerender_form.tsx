import { callError } from "@sonichaos/client";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { type FormEvent, useEffect, useRef, useState } from "react";

import { renders } from "../api/calls";
import { sentence } from "../brief/field_paths";
import { focusFirstProblem } from "../brief/focus_problem";
import { type OpenRequest, requestFor } from "../brief/request_id";
import { drawSeed } from "../brief/seed";
import { isFinal, versionOf } from "../job/version_state";
import { en } from "../messages/en";
import { useReadiness } from "../readiness/use_readiness";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { useCall } from "../ui/use_call";
import style from "./rerender.module.css";
import {
  type FieldName,
  type FieldProblems,
  fieldNamed,
  needsGrid,
  problemsOf,
  type RerenderDraft,
  requestOf,
  startDraft,
} from "./rerender_draft";
import { Bars, Grid, MoreOptions, NewPart, Persona, Prompt, Seed, StemChoice } from "./rerender_fields";

interface RerenderFormProps {
  readonly job: Job;
  readonly base: Version;
  /** Number of bars of the take; 0 while its tempo is not known. */
  readonly bars: number;
  readonly onAccepted: (version: number) => void;
}

/** The form for one stem. */
export function RerenderForm({ job, base, bars, onAccepted }: RerenderFormProps) {
  const [draft, setDraft] = useState(() => startDraft(job, base, bars));
  const [problems, setProblems] = useState<FieldProblems>(new Map());
  const [accepted, setAccepted] = useState(0);
  const { render, renderModel } = useReadiness();
  const call = useCall();
  const sent = useRef<OpenRequest>(undefined);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (problems.size > 0) focusFirstProblem(form.current);
  }, [problems]);
  const change = (part: Partial<RerenderDraft>): void => setDraft((before) => ({ ...before, ...part }));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const found = problemsOf(draft, job, base, bars);
    setProblems(found);
    setAccepted(0);
    if (found.size > 0) return;
    // A request that is sent again after a lost answer keeps its id, and so makes no second version.
    sent.current = requestFor(JSON.stringify([draft, base.number]), sent.current);
    const request = requestOf(draft, job, base, sent.current.requestId);
    call.start(async () => {
      try {
        const { version } = await renders.rerenderStem(request);
        sent.current = undefined;
        setAccepted(version);
        if (!draft.seedLocked) change({ seed: String(drawSeed()) });
        onAccepted(version);
      } catch (thrown) {
        setProblems(refusedFields(thrown));
        throw thrown;
      }
    });
  };
  const fields = { draft, problems, change };
  return (
    <form ref={form} className={style.form} onSubmit={submit} noValidate={true}>
      <p className="muted">{en.rerender.startsFrom(base.number)}</p>
      <StemChoice {...fields} drumsAllowed={renderModel?.drumsRerenderEnabled === true} />
      <Persona {...fields} before={base.brief?.personaId ?? ""} ready={render.state === "serving"} />
      <Prompt {...fields} />
      {needsGrid(job, base) ? <Grid {...fields} /> : <Bars {...fields} bars={bars} />}
      <Seed {...fields} />
      {base.files?.midi !== undefined && renderModel?.supportsScore !== false && <NewPart {...fields} />}
      <MoreOptions {...fields} />
      {call.problem !== undefined && <CallProblem thrown={call.problem} />}
      <div className={style.actions}>
        <Button type="submit" disabled={call.busy}>
          {call.busy ? en.rerender.submitting : en.rerender.submit(en.take.stems[draft.stem])}
        </Button>
        <p role="status">{accepted > 0 && !isDone(job, accepted) && en.rerender.accepted(accepted)}</p>
      </div>
    </form>
  );
}

function isDone(job: Job, number: number): boolean {
  const version = versionOf(job, number);
  return version !== undefined && isFinal(version);
}

/** The fields that a refusal names, each with what is wrong. */
function refusedFields(thrown: unknown): FieldProblems {
  const found = new Map<FieldName, string>();
  for (const { field, description } of callError(thrown).violations) {
    const name = fieldNamed(field);
    if (name !== undefined) found.set(name, sentence(description));
  }
  return found;
}

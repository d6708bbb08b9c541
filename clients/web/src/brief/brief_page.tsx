import { callError } from "@sonichaos/client";
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";

import { en } from "../messages/en";
import { usePersonas } from "../personas/use_personas";
import { ReadinessNotice } from "../readiness/readiness_notice";
import { recheckReadiness, useReadiness } from "../readiness/use_readiness";
import { blockedReason } from "../readiness/words";
import { navigate, replaceRoute } from "../routing/route";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { usePageTitle } from "../ui/use_page_title";
import { type BriefForm, BriefFormContext } from "./brief_form";
import { ANY_RENDERER, briefOfDraft } from "./brief_of_draft";
import style from "./brief_page.module.css";
import { type Draft, newDraft } from "./draft";
import { sortViolations } from "./field_paths";
import { focusFirstProblem } from "./focus_problem";
import { JsonSection } from "./json_section";
import { parseNumber } from "./number_text";
import { PersonaSection } from "./persona_section";
import { PromptSection } from "./prompt_section";
import { RenderBar } from "./render_bar";
import { ReplacedNotice, type Replacement } from "./replaced_notice";
import { ScoreSection } from "./score_section";
import { drawSeed } from "./seed";
import { SeedSection } from "./seed_section";
import { TakeSection } from "./take_section";
import { TempoSection } from "./tempo_section";
import { TermsSection } from "./terms_section";
import { useDraft } from "./use_draft";
import { useEstimate } from "./use_estimate";
import { useRestoredTake } from "./use_restored_take";
import { useSubmission } from "./use_submission";

interface BriefPageProps {
  /** The take whose brief is restored. */
  readonly fromJobId: string | undefined;
}

/** Write a brief and submit it. */
export function BriefPage({ fromJobId }: BriefPageProps) {
  usePageTitle(en.app.compose);
  const [{ draft, problems, others }, dispatch] = useDraft();
  const [replacement, setReplacement] = useState<Replacement>();
  const [refusals, setRefusals] = useState(0);
  const formElement = useRef<HTMLFormElement>(null);
  const readiness = useReadiness();
  const ready = readiness.render.state === "serving";
  const model = readiness.renderModel;
  const limits = model ?? ANY_RENDERER;
  const personas = usePersonas(ready);
  const seconds = draft.seconds.trim() === "" ? 0 : parseNumber(draft.seconds);
  const estimate = useEstimate(seconds, draft.stems, ready);

  const refuse = (wrong: ReadonlyMap<string, string>, rest: readonly string[]): void => {
    dispatch({ type: "refuse", problems: wrong, others: rest });
    if (wrong.size > 0) setRefusals((count) => count + 1);
  };
  const submission = useSubmission((thrown) => {
    const sorted = sortViolations(callError(thrown), draft);
    refuse(sorted.problems, sorted.others);
    recheckReadiness();
    return sorted.problems.size + sorted.others.length > 0;
  });
  useEffect(() => {
    if (refusals > 0) focusFirstProblem(formElement.current);
  }, [refusals]);

  const replace = (next: Draft, source: Replacement["source"]): void => {
    submission.forgetProblem();
    setReplacement({ source, before: draft });
    dispatch({ type: "replace", draft: next });
  };
  const restoreProblem = useRestoredTake(fromJobId, (take) => {
    replace(take.draft, take);
    replaceRoute({ page: "compose" }); // a reload keeps what is typed from here on
  });

  const blocked = blockedReason(readiness, draft.stems);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (blocked !== "" || submission.sending) return;
    submission.forgetProblem();
    const read = briefOfDraft(draft, limits);
    refuse(read.problems, []);
    if (read.problems.size > 0) return;
    const jobId = await submission.submit(read.brief);
    if (jobId === undefined) return;
    if (!draft.seedLocked) dispatch({ type: "change", patch: { seed: String(drawSeed()) } });
    navigate({ page: "take", jobId });
  };
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
      event.preventDefault();
      formElement.current?.requestSubmit();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);

  const form: BriefForm = useMemo(
    () => ({
      draft,
      problems,
      limits,
      rendererName: model?.name ?? "",
      change: (patch) => dispatch({ type: "change", patch }),
    }),
    [draft, problems, limits, model, dispatch],
  );

  return (
    <BriefFormContext value={form}>
      <div>
        <div className={style.head}>
          <h1>{en.app.compose}</h1>
          <Button look="quiet" onClick={() => replace(newDraft(), "cleared")}>
            {en.brief.reset}
          </Button>
        </div>
        <p className="muted">{en.brief.intro}</p>
      </div>
      <ReadinessNotice />
      {restoreProblem !== undefined && <CallProblem thrown={restoreProblem} />}
      {replacement !== undefined && (
        <ReplacedNotice
          replacement={replacement}
          onUndo={() => {
            dispatch({ type: "replace", draft: replacement.before });
            setReplacement(undefined);
          }}
          onDismiss={() => setReplacement(undefined)}
        />
      )}
      <form ref={formElement} className={style.form} noValidate onSubmit={(event) => void submit(event)}>
        <PromptSection ready={ready} />
        <PersonaSection list={personas} waits={!ready && readiness.render.state !== "unknown"} />
        <div className={style.settings}>
          <TakeSection />
          <TempoSection />
          <SeedSection />
        </div>
        <ScoreSection />
        <TermsSection />
        <JsonSection onUse={(given) => replace(given, "json")} />
        <div className={style.bar}>
          <RenderBar
            blocked={blocked}
            sending={submission.sending}
            estimate={estimate}
            wrongFields={problems.size}
            others={others}
            problem={submission.problem}
          />
        </div>
      </form>
    </BriefFormContext>
  );
}

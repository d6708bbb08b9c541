import { useEffect, useRef } from "react";

import { en } from "../messages/en";
import { hrefOf } from "../routing/route";
import { Button } from "../ui/button";
import { useBriefForm } from "./brief_form";
import type { Draft } from "./draft";
import { keyParts } from "./draft_of_brief";
import { numberText } from "./number_text";
import style from "./replaced_notice.module.css";
import type { RestoredTake } from "./use_restored_take";

const { replaced } = en.brief;

/** Why the form has another draft, and the one it had before. */
export interface Replacement {
  /** The take that it was restored from, or what else replaced it. */
  readonly source: RestoredTake | "cleared" | "json";
  readonly before: Draft;
}

interface ReplacedNoticeProps {
  readonly replacement: Replacement;
  readonly onUndo: () => void;
  readonly onDismiss: () => void;
}

function chosenTempo({ chosenBpm }: RestoredTake): string {
  return chosenBpm === undefined ? "" : `${numberText(chosenBpm)} BPM`;
}

function TakeWords({ take }: { readonly take: RestoredTake }) {
  const { jobId, chosenKey, midiMissing, promptMissing } = take;
  const tempo = chosenTempo(take);
  return (
    <>
      <p>
        {replaced.from} <a href={hrefOf({ page: "take", jobId })}>{replaced.take}</a>.{" "}
        {!promptMissing && replaced.seedKept}
      </p>
      {(tempo !== "" || chosenKey !== "") && <p>{replaced.chosen(tempo, chosenKey)}</p>}
      {midiMissing && <p>{replaced.midi}</p>}
      {promptMissing && <p>{replaced.noPrompt}</p>}
    </>
  );
}

/** Says what the form has now and what it lacks, and brings the former draft back. */
export function ReplacedNotice({ replacement, onUndo, onDismiss }: ReplacedNoticeProps) {
  const { source } = replacement;
  const { change } = useBriefForm();
  const notice = useRef<HTMLElement>(null);
  // The field for JSON is at the end of the page, the form that it fills in at the top.
  useEffect(() => {
    if (replacement.source === "json") notice.current?.focus();
  }, [replacement]);
  const take = typeof source === "string" ? undefined : source;
  const fix = (restored: RestoredTake): void => {
    const { chosenBpm, chosenKey } = restored;
    change({
      ...(chosenBpm === undefined ? {} : { tempo: "bpm", bpm: numberText(chosenBpm) }),
      ...(keyParts(chosenKey) ?? {}),
    });
    onDismiss();
  };
  const hasChosen = take !== undefined && (chosenTempo(take) !== "" || take.chosenKey !== "");
  return (
    <section ref={notice} tabIndex={-1} className={style.notice} aria-label={replaced.title}>
      <div role="status">
        {take === undefined ? <p>{source === "json" ? replaced.json : replaced.cleared}</p> : <TakeWords take={take} />}
      </div>
      <div className={style.buttons}>
        {hasChosen && <Button onClick={() => fix(take)}>{replaced.fix}</Button>}
        <Button onClick={onUndo}>{replaced.undo}</Button>
        <Button look="quiet" onClick={onDismiss}>
          {replaced.dismiss}
        </Button>
      </div>
    </section>
  );
}

import { en } from "../messages/en";
import { hrefOf } from "../routing/route";
import { Button } from "../ui/button";
import { useBriefForm } from "./brief_form";
import { keyParts } from "./draft_of_brief";
import { numberText } from "./number_text";
import style from "./restored_notice.module.css";
import type { RestoredTake } from "./use_restored_take";

const { restored } = en.brief;

interface RestoredNoticeProps {
  readonly take: RestoredTake;
  readonly onUndo: () => void;
  readonly onDismiss: () => void;
}

/** Says what the form has from a take, and what it lacks. */
export function RestoredNotice({ take, onUndo, onDismiss }: RestoredNoticeProps) {
  const { change } = useBriefForm();
  const { jobId, chosenBpm, chosenKey, midiMissing, promptMissing } = take;
  const tempo = chosenBpm === undefined ? "" : `${numberText(chosenBpm)} BPM`;
  const hasChosen = tempo !== "" || chosenKey !== "";
  const fix = (): void => {
    change({
      ...(chosenBpm === undefined ? {} : { tempo: "bpm", bpm: numberText(chosenBpm) }),
      ...(keyParts(chosenKey) ?? {}),
    });
    onDismiss();
  };
  return (
    <section className={style.notice} aria-label={restored.title}>
      <div role="status">
        <p>
          {restored.from} <a href={hrefOf({ page: "take", jobId })}>{restored.take}</a>.{" "}
          {!promptMissing && restored.seedKept}
        </p>
        {hasChosen && <p>{restored.chosen(tempo, chosenKey)}</p>}
        {midiMissing && <p>{restored.midi}</p>}
        {promptMissing && <p>{restored.noPrompt}</p>}
      </div>
      <div className={style.buttons}>
        {hasChosen && <Button onClick={fix}>{restored.fix}</Button>}
        <Button onClick={onUndo}>{restored.undo}</Button>
        <Button look="quiet" onClick={onDismiss}>
          {restored.dismiss}
        </Button>
      </div>
    </section>
  );
}

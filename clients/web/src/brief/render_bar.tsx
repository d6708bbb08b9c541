import { callError } from "@sonichaos/client";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import style from "./render_bar.module.css";
import type { Estimate } from "./use_estimate";

interface RenderBarProps {
  /** Why the button is disabled. Empty: it is not. */
  readonly blocked: string;
  readonly sending: boolean;
  readonly estimate: Estimate | undefined;
  /** Number of fields that need a change. */
  readonly wrongFields: number;
  /** Problems that no field shows. */
  readonly others: readonly string[];
  /** What the last call has thrown. */
  readonly problem: unknown;
}

function estimateText({ versionsAhead, seconds }: Estimate): string {
  const { estimate } = en.brief;
  if (seconds === undefined)
    return versionsAhead === 0 ? estimate.nowUnmeasured : estimate.aheadUnmeasured(versionsAhead);
  return versionsAhead === 0 ? estimate.now(seconds) : estimate.ahead(versionsAhead, seconds);
}

/** What a refused call says beside the fields that it names. */
function Refusal({ wrongFields, others, problem }: Pick<RenderBarProps, "wrongFields" | "others" | "problem">) {
  const isAboutFields = wrongFields > 0 || others.length > 0;
  const isLost = problem !== undefined && callError(problem).reason === "";
  return (
    <>
      {isAboutFields && (
        <div className={style.fields} role="alert">
          {wrongFields > 0 && <p>{en.brief.fieldsToChange(wrongFields)}</p>}
          {others.map((text) => (
            <p key={text}>{text}</p>
          ))}
        </div>
      )}
      {problem !== undefined && !isLost && <CallProblem thrown={problem} />}
      {isLost && (
        <p className={style.lost} role="alert">
          {en.brief.lostAnswer}
        </p>
      )}
    </>
  );
}

/** The one primary button, with the reason why it waits or the time that a take needs. */
export function RenderBar({ blocked, sending, estimate, ...refusal }: RenderBarProps) {
  return (
    <div className={style.bar}>
      <Refusal {...refusal} />
      <div className={style.line}>
        <Button
          look="primary"
          type="submit"
          disabled={blocked !== "" || sending}
          aria-describedby="render-note"
          aria-keyshortcuts="Control+Enter"
        >
          {sending ? en.brief.rendering : en.brief.render}
        </Button>
        <div id="render-note" className={style.note}>
          <p role="status">{blocked}</p>
          {blocked === "" && estimate !== undefined && <p>{estimateText(estimate)}</p>}
        </div>
        <kbd className={style.keys}>{en.brief.renderKeys}</kbd>
      </div>
    </div>
  );
}

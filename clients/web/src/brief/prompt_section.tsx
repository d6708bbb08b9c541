import { en } from "../messages/en";
import { Panel } from "../ui/panel";
import { useBriefForm } from "./brief_form";
import { FormField } from "./form_field";
import { PromptAxes } from "./prompt_axes";
import { characterCount, MAX_PROMPT_CHARACTERS } from "./prompt_length";
import style from "./section.module.css";

const COUNT_FROM = 1800;

interface PromptSectionProps {
  readonly ready: boolean;
}

/** The prompt, and what the services read from it. */
export function PromptSection({ ready }: PromptSectionProps) {
  const { draft, change } = useBriefForm();
  const length = characterCount(draft.prompt);
  const hint = length >= COUNT_FROM ? en.brief.promptCount(length, MAX_PROMPT_CHARACTERS) : en.brief.promptHint;
  return (
    <Panel title={en.brief.prompt}>
      <div className={style.stack}>
        <FormField path="brief.prompt" label={en.brief.prompt} labelHidden hint={hint}>
          {(attributes) => (
            <textarea
              {...attributes}
              rows={3}
              placeholder={en.brief.promptPlaceholder}
              value={draft.prompt}
              onChange={(event) => change({ prompt: event.target.value })}
            />
          )}
        </FormField>
        <PromptAxes ready={ready && length <= MAX_PROMPT_CHARACTERS} />
      </div>
    </Panel>
  );
}

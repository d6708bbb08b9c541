import { en } from "../messages/en";
import { Choice } from "../ui/choice";
import { Field, FieldNotes } from "../ui/field";
import { Panel } from "../ui/panel";
import { Toggle } from "../ui/toggle";
import { useBriefForm } from "./brief_form";
import { STEM_MODES } from "./draft";
import { controlId } from "./field_paths";
import { FormField } from "./form_field";
import { parseNumber } from "./number_text";
import style from "./section.module.css";

const DEFAULT_SECONDS = 30;

function Length() {
  const { draft, limits, change } = useBriefForm();
  const { minSeconds, maxSeconds } = limits;
  return (
    <div className={style.stack}>
      <FormField path="brief.seconds" label={en.brief.seconds} hint={en.brief.secondsHint(minSeconds, maxSeconds)}>
        {(attributes) => (
          <input
            {...attributes}
            inputMode="decimal"
            autoComplete="off"
            value={draft.seconds}
            onChange={(event) => change({ seconds: event.target.value })}
          />
        )}
      </FormField>
      <Field id="seconds-slider" label={en.brief.secondsSlider} labelHidden>
        {(attributes) => (
          <input
            {...attributes}
            type="range"
            min={minSeconds}
            max={maxSeconds}
            step={1}
            value={parseNumber(draft.seconds) ?? DEFAULT_SECONDS}
            onChange={(event) => change({ seconds: event.target.value })}
          />
        )}
      </Field>
    </div>
  );
}

/** Length, loop, voice and stems. */
export function TakeSection() {
  const { draft, problems, change } = useBriefForm();
  return (
    <Panel title={en.brief.settings}>
      <div className={style.stack}>
        <Length />
        <Toggle
          label={en.brief.loop}
          hint={en.brief.loopHint}
          problem={problems.get("brief.loop")}
          checked={draft.loop}
          onChange={(loop) => change({ loop })}
        />
        <Toggle
          label={en.brief.instrumental}
          hint={en.brief.instrumentalHint}
          checked={draft.instrumental}
          onChange={(instrumental) => change({ instrumental })}
        />
        <Toggle
          label={en.brief.stems}
          hint={en.brief.stemsHint}
          checked={draft.stems}
          onChange={(stems) => change({ stems })}
        />
        {draft.stems && (
          <div>
            <Choice
              legend={en.brief.stemMode}
              options={STEM_MODES.map((value) => ({ value, label: en.brief.stemModes[value] }))}
              value={draft.stemMode}
              onChange={(stemMode) => change({ stemMode })}
            />
            <FieldNotes
              id={controlId("brief.stem_mode")}
              hint={en.brief.stemModeHints[draft.stemMode]}
              problem={problems.get("brief.stem_mode")}
            />
          </div>
        )}
      </div>
    </Panel>
  );
}

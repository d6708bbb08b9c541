import { en } from "../messages/en";
import { Button } from "../ui/button";
import { Icon } from "../ui/icon";
import { Panel } from "../ui/panel";
import { Toggle } from "../ui/toggle";
import { useBriefForm } from "./brief_form";
import { FormField } from "./form_field";
import style from "./section.module.css";
import { drawSeed } from "./seed";

/** The seed: always shown, drawn anew by a button or after each take, unless it is locked. */
export function SeedSection() {
  const { draft, change } = useBriefForm();
  return (
    <Panel title={en.brief.seed}>
      <div className={style.withButton}>
        <FormField path="brief.seed" label={en.brief.seed} labelHidden hint={en.brief.seedHint}>
          {(attributes) => (
            <input
              {...attributes}
              className="numbers"
              inputMode="numeric"
              autoComplete="off"
              value={draft.seed}
              onChange={(event) => change({ seed: event.target.value })}
            />
          )}
        </FormField>
        <Button
          className={style.icon}
          aria-label={en.brief.seedDraw}
          title={en.brief.seedDraw}
          onClick={() => change({ seed: String(drawSeed()) })}
        >
          <Icon name="dice" />
        </Button>
      </div>
      <Toggle label={en.brief.seedLock} checked={draft.seedLocked} onChange={(seedLocked) => change({ seedLocked })} />
    </Panel>
  );
}

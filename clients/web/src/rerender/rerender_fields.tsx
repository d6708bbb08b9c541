import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { useId } from "react";

import { drawSeed } from "../brief/seed";
import { en } from "../messages/en";
import { personaName } from "../personas/persona_name";
import { usePersonas } from "../personas/use_personas";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Icon } from "../ui/icon";
import { Toggle } from "../ui/toggle";
import style from "./rerender.module.css";
import type { FieldProblems, RerenderDraft } from "./rerender_draft";

interface FieldsProps {
  readonly draft: RerenderDraft;
  readonly problems: FieldProblems;
  readonly change: (part: Partial<RerenderDraft>) => void;
}

const STEMS = [Stem.DRUMS, Stem.BASS, Stem.VOCALS, Stem.OTHER] as const;

interface StemChoiceProps extends FieldsProps {
  readonly drumsAllowed: boolean;
}

/** Which of the four stems. */
export function StemChoice({ draft, problems, change, drumsAllowed }: StemChoiceProps) {
  const id = useId();
  const problem = problems.get("stem");
  return (
    <fieldset className={style.group} aria-describedby={id}>
      <legend>{en.rerender.stem}</legend>
      <div className={style.segments}>
        {STEMS.map((stem) => (
          <label key={stem} className={style.segment} data-stem={Stem[stem].toLowerCase()}>
            <input
              type="radio"
              name={`${id}-stem`}
              checked={draft.stem === stem}
              disabled={stem === Stem.DRUMS && !drumsAllowed}
              onChange={() => change({ stem })}
            />
            {en.take.stems[stem]}
          </label>
        ))}
      </div>
      <p id={id} className={style.hint}>
        {!drumsAllowed && en.rerender.drumsOff}
      </p>
      {problem !== undefined && <p className={style.problem}>{problem}</p>}
    </fieldset>
  );
}

interface PersonaProps extends FieldsProps {
  /** The persona of the base version. Empty for an upload. */
  readonly before: string;
  /** Whether the service answers. */
  readonly ready: boolean;
}

/** Whose sound the stem gets. */
export function Persona({ draft, problems, change, before, ready }: PersonaProps) {
  const id = useId();
  const { personas } = usePersonas(ready);
  const others = personas?.filter((persona) => persona.id !== before) ?? [];
  return (
    <Field id={id} label={en.rerender.persona} hint={en.rerender.personaHint} problem={problems.get("persona_id")}>
      {(attributes) => (
        <select {...attributes} value={draft.personaId} onChange={(event) => change({ personaId: event.target.value })}>
          {before === "" ? (
            <option value="">{en.rerender.choosePersona}</option>
          ) : (
            <option value={before}>{en.rerender.asBase(personaName(before))}</option>
          )}
          {others.map((persona) => (
            <option key={persona.id} value={persona.id}>
              {persona.prefix === "" ? personaName(persona.id) : `${personaName(persona.id)}: ${persona.prefix}`}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Prompt({ draft, problems, change }: FieldsProps) {
  const id = useId();
  return (
    <Field id={id} label={en.rerender.prompt} hint={en.rerender.promptHint} problem={problems.get("prompt")}>
      {(attributes) => (
        <textarea
          {...attributes}
          rows={2}
          value={draft.prompt}
          onChange={(event) => change({ prompt: event.target.value })}
        />
      )}
    </Field>
  );
}

/** The seed, always shown. */
export function Seed({ draft, problems, change }: FieldsProps) {
  const id = useId();
  return (
    <div className={style.group}>
      <div className={style.withButton}>
        <Field id={id} label={en.rerender.seed} problem={problems.get("seed")}>
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
        </Field>
        <Button
          aria-label={en.rerender.draw}
          title={en.rerender.draw}
          onClick={() => change({ seed: String(drawSeed()) })}
        >
          <Icon name="dice" />
        </Button>
      </div>
      <Toggle label={en.rerender.lock} checked={draft.seedLocked} onChange={(seedLocked) => change({ seedLocked })} />
    </div>
  );
}

interface BarsProps extends FieldsProps {
  readonly bars: number;
}

/** The whole take, or some bars of it. */
export function Bars({ draft, problems, change, bars }: BarsProps) {
  const id = useId();
  return (
    <fieldset className={style.group}>
      <legend>{en.rerender.bars}</legend>
      <div className={style.choices}>
        <label>
          <input
            type="radio"
            name={`${id}-bars`}
            checked={!draft.someBars}
            onChange={() => change({ someBars: false })}
          />
          {en.rerender.wholeTake(bars)}
        </label>
        <label>
          <input
            type="radio"
            name={`${id}-bars`}
            checked={draft.someBars}
            onChange={() => change({ someBars: true })}
          />
          {en.rerender.someBars}
        </label>
      </div>
      {draft.someBars && (
        <div className={style.pair}>
          <NumberField
            label={en.rerender.fromBar}
            value={draft.fromBar}
            max={bars}
            problem={problems.get("from_bar")}
            onChange={(fromBar) => change({ fromBar })}
          />
          <NumberField
            label={en.rerender.toBar}
            value={draft.toBar}
            max={bars}
            problem={problems.get("to_bar")}
            onChange={(toBar) => change({ toBar })}
          />
        </div>
      )}
    </fieldset>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly value: string;
  readonly max: number;
  readonly problem: string | undefined;
  readonly onChange: (value: string) => void;
}

function NumberField({ label, value, max, problem, onChange }: NumberFieldProps) {
  const id = useId();
  return (
    <Field id={id} label={label} problem={problem}>
      {(attributes) => (
        <input
          {...attributes}
          className="numbers"
          type="number"
          min={1}
          max={max}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** Tempo and key of an upload. */
export function Grid({ draft, problems, change }: FieldsProps) {
  const id = useId();
  return (
    <div className={style.pair}>
      <Field id={`${id}-bpm`} label={en.rerender.bpm} hint={en.rerender.bpmHint} problem={problems.get("bpm")}>
        {(attributes) => (
          <input
            {...attributes}
            className="numbers"
            inputMode="decimal"
            autoComplete="off"
            value={draft.bpm}
            onChange={(event) => change({ bpm: event.target.value })}
          />
        )}
      </Field>
      <Field id={`${id}-key`} label={en.rerender.key} hint={en.rerender.keyHint} problem={problems.get("key")}>
        {(attributes) => (
          <input
            {...attributes}
            autoComplete="off"
            value={draft.key}
            onChange={(event) => change({ key: event.target.value })}
          />
        )}
      </Field>
    </div>
  );
}

export function NewPart({ draft, change }: FieldsProps) {
  return (
    <Toggle
      label={en.rerender.newPart}
      hint={en.rerender.newPartHint}
      checked={draft.newPart}
      onChange={(newPart) => change({ newPart })}
    />
  );
}

/** What few need, folded away. */
export function MoreOptions({ draft, change }: FieldsProps) {
  return (
    <details className={style.more}>
      <summary>{en.rerender.more}</summary>
      <Toggle
        label={en.rerender.allowDrift}
        hint={en.rerender.allowDriftHint}
        checked={draft.allowDrift}
        onChange={(allowDrift) => change({ allowDrift })}
      />
    </details>
  );
}

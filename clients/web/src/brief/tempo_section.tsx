import { en } from "../messages/en";
import { Choice } from "../ui/choice";
import { Panel } from "../ui/panel";
import { useBriefForm } from "./brief_form";
import { MODES, TEMPO_CHOICES } from "./draft";
import { FormField } from "./form_field";
import style from "./section.module.css";
import { TapTempoButton } from "./tap_tempo_button";
import { TempoMapEditor } from "./tempo_map_editor";

const TONICS = "C C# Db D D# Eb E F F# Gb G G# Ab A A# Bb B".split(" ");

function Tempo() {
  const { draft, change } = useBriefForm();
  return (
    <div className={style.stack}>
      <Choice
        legend={en.brief.tempo}
        options={TEMPO_CHOICES.map((value) => ({ value, label: en.brief.tempoChoices[value] }))}
        value={draft.tempo}
        onChange={(tempo) => change({ tempo })}
      />
      {draft.tempo === "open" && <p className={style.note}>{en.brief.tempoOpenHint}</p>}
      {draft.tempo === "bpm" && (
        <FormField path="brief.bpm" label={en.brief.bpm}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="decimal"
              autoComplete="off"
              value={draft.bpm}
              onChange={(event) => change({ bpm: event.target.value })}
            />
          )}
        </FormField>
      )}
      {draft.tempo !== "map" && <TapTempoButton onTempo={(bpm) => change({ tempo: "bpm", bpm: String(bpm) })} />}
      {draft.tempo === "map" && <TempoMapEditor />}
    </div>
  );
}

function Key() {
  const { draft, change } = useBriefForm();
  const tonics = draft.tonic === "" || TONICS.includes(draft.tonic) ? TONICS : [...TONICS, draft.tonic];
  return (
    <div className={style.stack}>
      <FormField path="brief.key" label={en.brief.key} hint={en.brief.keyHint}>
        {(attributes) => (
          <select {...attributes} value={draft.tonic} onChange={(event) => change({ tonic: event.target.value })}>
            <option value="">{en.brief.keyOpen}</option>
            {tonics.map((tonic) => (
              <option key={tonic}>{tonic}</option>
            ))}
          </select>
        )}
      </FormField>
      {draft.tonic !== "" && (
        <Choice
          legend={en.brief.mode}
          legendHidden
          options={MODES.map((value) => ({ value, label: en.brief.modes[value] }))}
          value={draft.mode}
          onChange={(mode) => change({ mode })}
        />
      )}
    </div>
  );
}

/** Tempo, or a map of it, and key. */
export function TempoSection() {
  return (
    <Panel title={en.brief.tempoAndKey}>
      <div className={style.stack}>
        <Tempo />
        <Key />
      </div>
    </Panel>
  );
}

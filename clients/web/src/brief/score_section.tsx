import { base64Encode } from "@bufbuild/protobuf/wire";
import { useState } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { Choice } from "../ui/choice";
import { Panel } from "../ui/panel";
import { useBriefForm } from "./brief_form";
import { SCORE_CHOICES } from "./draft";
import { FormField } from "./form_field";
import style from "./section.module.css";

const MAX_MIDI_BYTES = 1024 * 1024;
const MAX_CHORDS_CHARACTERS = 2000;
const MAX_LYRICS_CHARACTERS = 4000;
const MIDI_MAGIC = "MThd";

function Chords() {
  const { draft, change } = useBriefForm();
  return (
    <FormField path="brief.score.chords" label={en.brief.chords} hint={en.brief.chordsHint}>
      {(attributes) => (
        <textarea
          {...attributes}
          rows={2}
          spellCheck={false}
          maxLength={MAX_CHORDS_CHARACTERS}
          value={draft.chords}
          onChange={(event) => change({ chords: event.target.value })}
        />
      )}
    </FormField>
  );
}

function Midi() {
  const { draft, change } = useBriefForm();
  const [problem, setProblem] = useState("");
  const choose = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    if (file.size > MAX_MIDI_BYTES) {
      setProblem(en.brief.midiTooLarge);
      return;
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isMidi = new TextDecoder("latin1").decode(bytes.subarray(0, MIDI_MAGIC.length)) === MIDI_MAGIC;
    setProblem(isMidi ? "" : en.brief.midiNone);
    if (isMidi) change({ midi: { name: file.name, base64: base64Encode(bytes) } });
  };
  return (
    <div className={style.stack}>
      <FormField path="brief.score.midi" label={en.brief.midi} hint={en.brief.midiHint}>
        {(attributes) => (
          <input
            {...attributes}
            type="file"
            accept=".mid,.midi,audio/midi"
            onChange={(event) => void choose(event.target.files?.[0])}
          />
        )}
      </FormField>
      {problem !== "" && (
        <p role="alert" className={style.problem}>
          {problem}
        </p>
      )}
      {draft.midi !== undefined && (
        <p>
          {en.brief.midiChosen(draft.midi.name)}{" "}
          <Button look="quiet" onClick={() => change({ midi: undefined })}>
            {en.brief.midiRemove}
          </Button>
        </p>
      )}
    </div>
  );
}

/** A score that is played in place of a composed one, and lyrics, where the renderer offers them. */
export function ScoreSection() {
  const { draft, limits, rendererName, change } = useBriefForm();
  const { supportsScore, supportsLyrics } = limits;
  return (
    <Panel title={en.brief.score}>
      <div className={style.stack}>
        <Choice
          legend={en.brief.scoreSource}
          options={SCORE_CHOICES.map((value) => ({ value, label: en.brief.scoreChoices[value] }))}
          value={supportsScore ? draft.score : "none"}
          disabled={!supportsScore}
          onChange={(score) => change({ score })}
        />
        {!supportsScore && <p className={style.note}>{en.brief.scoreUnsupported(rendererName)}</p>}
        {supportsScore && draft.score === "chords" && <Chords />}
        {supportsScore && draft.score === "midi" && <Midi />}
        <FormField
          path="brief.lyrics"
          label={en.brief.lyrics}
          hint={supportsLyrics ? en.brief.lyricsHint : en.brief.lyricsUnsupported(rendererName)}
        >
          {(attributes) => (
            <textarea
              {...attributes}
              rows={2}
              maxLength={MAX_LYRICS_CHARACTERS}
              disabled={!supportsLyrics}
              value={draft.lyrics}
              onChange={(event) => change({ lyrics: event.target.value })}
            />
          )}
        </FormField>
      </div>
    </Panel>
  );
}

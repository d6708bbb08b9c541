import { useState } from "react";

import { saveBytes } from "../download/save";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy_button";
import { Field } from "../ui/field";
import { useBriefForm } from "./brief_form";
import { briefToJson, draftFromJson, MAX_JSON_CHARACTERS } from "./brief_json";
import { briefOfDraft } from "./brief_of_draft";
import type { Draft } from "./draft";
import style from "./section.module.css";

const { json } = en.brief;
const FILE_NAME = "brief.json";

function Output() {
  const { draft, limits } = useBriefForm();
  const { brief, problems } = briefOfDraft(draft, limits);
  const text = briefToJson(brief);
  return (
    <div className={style.stack}>
      <Field id="json-output" label={json.text} hint={problems.size > 0 ? json.incomplete : json.hint}>
        {(aria) => <textarea {...aria} className={style.code} readOnly rows={8} value={text} />}
      </Field>
      <div className={style.buttons}>
        <CopyButton text={text} label={json.copy} />
        <Button onClick={() => saveBytes(new TextEncoder().encode(text), FILE_NAME, "application/json")}>
          {json.download}
        </Button>
      </div>
    </div>
  );
}

interface InputProps {
  readonly onUse: (draft: Draft) => void;
}

function Input({ onUse }: InputProps) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const use = (source: string): void => {
    const read = draftFromJson(source);
    setProblem(read.problem ?? "");
    if (read.draft === undefined) return;
    setText("");
    onUse(read.draft);
  };
  const choose = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    // No character takes more than four bytes.
    const source = file.size > 4 * MAX_JSON_CHARACTERS ? "x".repeat(MAX_JSON_CHARACTERS + 1) : await file.text();
    if (source.length <= MAX_JSON_CHARACTERS) setText(source);
    use(source);
  };
  return (
    <div className={style.stack}>
      <Field id="json-input" label={json.input} hint={json.inputHint} problem={problem}>
        {(aria) => (
          <textarea
            {...aria}
            className={style.code}
            rows={4}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      <div className={style.buttons}>
        <Button onClick={() => use(text)}>{json.use}</Button>
        <input
          type="file"
          aria-label={json.file}
          accept=".json,application/json"
          onChange={(event) => {
            void choose(event.target.files?.[0]);
            event.target.value = "";
          }}
        />
      </div>
    </div>
  );
}

interface JsonSectionProps {
  /** Called with the form of a brief that was given. */
  readonly onUse: (draft: Draft) => void;
}

/** The brief as proto3 JSON, out and in, folded away. */
export function JsonSection({ onUse }: JsonSectionProps) {
  const [open, setOpen] = useState(false);
  return (
    <details className={style.details} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{json.title}</summary>
      {open && (
        <div className={style.stack}>
          <Output />
          <Input onUse={onUse} />
        </div>
      )}
    </details>
  );
}

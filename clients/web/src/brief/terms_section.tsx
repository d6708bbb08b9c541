import { en } from "../messages/en";
import { Button } from "../ui/button";
import { FieldNotes } from "../ui/field";
import { Icon } from "../ui/icon";
import { useBriefForm } from "./brief_form";
import { COVERAGES, type Draft, type LabelRow } from "./draft";
import { controlId } from "./field_paths";
import { FormField } from "./form_field";
import style from "./section.module.css";

const MAX_LABELS = 32;
const LABELS = "brief.labels";
const MAX_CHARACTERS = { tier: 64, licensee: 256, terms: 2048 } as const;

/** What is set in the folded section, so that nothing is sent unseen. */
function summaryOf(draft: Draft): string {
  const named = draft.labels.filter(({ key }) => key !== "").map(({ key, value }) => `${key}=${value}`);
  const parts = [draft.tier, draft.licensee, ...named];
  if (draft.targetLufs !== "") parts.push(en.brief.lufs(draft.targetLufs));
  if (draft.expireTime !== "") parts.push(en.brief.expiresAt(draft.expireTime.replace("T", " ")));
  return parts.filter((part) => part !== "").join(", ");
}

function LicenceFields() {
  const { draft, change } = useBriefForm();
  return (
    <>
      <h3>{en.brief.licence}</h3>
      <p className={style.note}>{en.brief.licenceHint}</p>
      <div className={style.two}>
        {(["tier", "licensee"] as const).map((field) => (
          <FormField key={field} path={`brief.licence.${field}`} label={en.brief[field]}>
            {(attributes) => (
              <input
                {...attributes}
                maxLength={MAX_CHARACTERS[field]}
                value={draft[field]}
                onChange={(event) => change({ [field]: event.target.value })}
              />
            )}
          </FormField>
        ))}
      </div>
      <FormField path="brief.licence.terms" label={en.brief.licenceTerms}>
        {(attributes) => (
          <textarea
            {...attributes}
            rows={2}
            maxLength={MAX_CHARACTERS.terms}
            value={draft.terms}
            onChange={(event) => change({ terms: event.target.value })}
          />
        )}
      </FormField>
      <FormField path="brief.licence.covers" label={en.brief.covers}>
        {(attributes) => (
          <select
            {...attributes}
            value={draft.covers}
            onChange={(event) =>
              change({ covers: COVERAGES.find((covers) => covers === event.target.value) ?? "bounce_and_stems" })
            }
          >
            {COVERAGES.map((covers) => (
              <option key={covers} value={covers}>
                {en.brief.coverage[covers]}
              </option>
            ))}
          </select>
        )}
      </FormField>
    </>
  );
}

function Labels() {
  const { draft, problems, change } = useBriefForm();
  const problem = problems.get(LABELS);
  const edit = (id: number, patch: Partial<LabelRow>): void =>
    change({ labels: draft.labels.map((row) => (row.id === id ? { ...row, ...patch } : row)) });
  const add = (): void => {
    const id = Math.max(0, ...draft.labels.map((row) => row.id)) + 1;
    change({ labels: [...draft.labels, { id, key: "", value: "" }] });
  };
  return (
    <>
      <h3>{en.brief.labels}</h3>
      <p className={style.note}>{en.brief.labelsHint}</p>
      <ul className={style.list}>
        {draft.labels.map((row, index) => (
          <li key={row.id} className={style.labelRow}>
            <input
              aria-label={en.brief.labelKey(index + 1)}
              aria-invalid={problem === undefined ? undefined : true}
              aria-describedby={problem === undefined ? undefined : `${controlId(LABELS)}-problem`}
              placeholder={en.brief.labelKeyPlaceholder}
              maxLength={63}
              value={row.key}
              onChange={(event) => edit(row.id, { key: event.target.value })}
            />
            <input
              aria-label={en.brief.labelValue(index + 1)}
              placeholder={en.brief.labelValuePlaceholder}
              maxLength={256}
              value={row.value}
              onChange={(event) => edit(row.id, { value: event.target.value })}
            />
            <Button
              look="quiet"
              className={style.icon}
              aria-label={en.brief.labelRemove(index + 1)}
              title={en.brief.labelRemove(index + 1)}
              onClick={() => change({ labels: draft.labels.filter(({ id }) => id !== row.id) })}
            >
              <Icon name="close" />
            </Button>
          </li>
        ))}
      </ul>
      <FieldNotes id={controlId(LABELS)} problem={problem} />
      <div>
        <Button disabled={draft.labels.length >= MAX_LABELS} onClick={add}>
          {en.brief.labelAdd}
        </Button>
      </div>
    </>
  );
}

/** Licence, labels, loudness and deadline, folded away. */
export function TermsSection() {
  const { draft, change } = useBriefForm();
  return (
    <details className={style.details}>
      <summary>
        {en.brief.terms} <span>{summaryOf(draft)}</span>
      </summary>
      <div className={style.stack}>
        <LicenceFields />
        <Labels />
        <h3>{en.brief.more}</h3>
        <div className={style.two}>
          <FormField path="brief.target_lufs" label={en.brief.targetLufs} hint={en.brief.targetLufsHint}>
            {(attributes) => (
              <input
                {...attributes}
                autoComplete="off"
                value={draft.targetLufs}
                onChange={(event) => change({ targetLufs: event.target.value })}
              />
            )}
          </FormField>
          <FormField path="brief.expire_time" label={en.brief.expireTime} hint={en.brief.expireHint}>
            {(attributes) => (
              <input
                {...attributes}
                type="datetime-local"
                value={draft.expireTime}
                onChange={(event) => change({ expireTime: event.target.value })}
              />
            )}
          </FormField>
        </div>
      </div>
    </details>
  );
}

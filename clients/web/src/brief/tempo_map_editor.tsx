import { en } from "../messages/en";
import { Button } from "../ui/button";
import { controlAttributes } from "../ui/control_attributes";
import { FieldNotes } from "../ui/field";
import { Icon } from "../ui/icon";
import { useBriefForm } from "./brief_form";
import type { TempoRow } from "./draft";
import { controlId } from "./field_paths";
import { FormField } from "./form_field";
import section from "./section.module.css";
import style from "./tempo_map_editor.module.css";
import { addRow, BEAT_UNITS, editRow, MAX_ROWS, ROW_PATHS, type RowField, removeRow } from "./tempo_rows";

const POINTS = "brief.tempo_map.points";
const FIELDS = ["startSeconds", "bpm", "beatsPerBar", "beatUnit"] as const satisfies readonly RowField[];
const { map } = en.brief;
const LABELS = {
  startSeconds: map.from,
  bpm: map.bpm,
  beatsPerBar: map.beats,
  beatUnit: map.unit,
} as const satisfies Record<RowField, string>;

interface RowProps {
  readonly row: TempoRow;
  readonly index: number;
}

/** A row whose errors stand below it, because its columns are too narrow for a sentence. */
function Row({ row, index }: RowProps) {
  const { draft, problems, change } = useBriefForm();
  const number = index + 1;
  const edit = (field: RowField, text: string): void => change({ points: editRow(draft.points, row.id, field, text) });
  const cells = FIELDS.map((field) => {
    const path = `${POINTS}[${index}].${ROW_PATHS[field]}`;
    return { field, id: controlId(path), problem: problems.get(path) };
  });
  return (
    <li className={style.row}>
      {cells.map(({ field, id, problem }) => (
        <div key={field} className={style.cell}>
          <label htmlFor={id}>
            {LABELS[field]}
            <span className="visually-hidden">{map.rowField(number)}</span>
          </label>
          {field === "beatUnit" ? (
            <select
              {...controlAttributes(id, undefined, problem)}
              value={row.beatUnit}
              onChange={(event) => edit("beatUnit", event.target.value)}
            >
              {BEAT_UNITS.map((unit) => (
                <option key={unit}>{unit}</option>
              ))}
            </select>
          ) : (
            <input
              {...controlAttributes(id, undefined, problem)}
              inputMode="decimal"
              autoComplete="off"
              readOnly={index === 0 && field === "startSeconds" && row.startSeconds === "0"}
              value={row[field]}
              onChange={(event) => edit(field, event.target.value)}
            />
          )}
        </div>
      ))}
      <Button
        look="quiet"
        className={section.icon}
        aria-label={map.remove(number)}
        title={map.remove(number)}
        disabled={index === 0}
        onClick={() => change({ points: removeRow(draft.points, row.id) })}
      >
        <Icon name="close" />
      </Button>
      <div className={style.problems}>
        {cells.map(({ field, id, problem }) => (
          <FieldNotes key={field} id={id} problem={problem && map.rowProblem(LABELS[field], problem)} />
        ))}
      </div>
    </li>
  );
}

/** Tempo and metre from moment to moment, first downbeat and swing. */
export function TempoMapEditor() {
  const { draft, problems, change } = useBriefForm();
  const problem = problems.get(POINTS);
  return (
    <div className={section.stack}>
      <ol className={style.rows} aria-label={map.title}>
        {draft.points.map((row, index) => (
          <Row key={row.id} row={row} index={index} />
        ))}
      </ol>
      <FieldNotes id={controlId(POINTS)} problem={problem} />
      <div>
        <Button
          id={controlId(POINTS)}
          aria-describedby={problem === undefined ? undefined : `${controlId(POINTS)}-problem`}
          disabled={draft.points.length >= MAX_ROWS}
          onClick={() => change({ points: addRow(draft.points) })}
        >
          {map.add}
        </Button>
      </div>
      <div className={section.two}>
        <FormField path="brief.tempo_map.first_downbeat_seconds" label={map.downbeat}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="decimal"
              autoComplete="off"
              value={draft.firstDownbeatSeconds}
              onChange={(event) => change({ firstDownbeatSeconds: event.target.value })}
            />
          )}
        </FormField>
        <FormField path="brief.tempo_map.swing_ratio" label={map.swing} hint={map.swingHint}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="decimal"
              autoComplete="off"
              value={draft.swingRatio}
              onChange={(event) => change({ swingRatio: event.target.value })}
            />
          )}
        </FormField>
      </div>
    </div>
  );
}

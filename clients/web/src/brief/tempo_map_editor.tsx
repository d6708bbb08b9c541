import { en } from "../messages/en";
import { Button } from "../ui/button";
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

function Row({ row, index }: RowProps) {
  const { draft, change } = useBriefForm();
  const number = index + 1;
  const edit = (field: RowField, text: string): void => change({ points: editRow(draft.points, row.id, field, text) });
  const label = (field: RowField) => (
    <>
      {LABELS[field]}
      <span className="visually-hidden">{map.rowField(number)}</span>
    </>
  );
  const path = (field: RowField): string => `${POINTS}[${index}].${ROW_PATHS[field]}`;
  return (
    <li className={style.row}>
      {(["startSeconds", "bpm", "beatsPerBar"] as const).map((field) => (
        <FormField key={field} path={path(field)} label={label(field)}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="decimal"
              autoComplete="off"
              readOnly={index === 0 && field === "startSeconds" && row.startSeconds === "0"}
              value={row[field]}
              onChange={(event) => edit(field, event.target.value)}
            />
          )}
        </FormField>
      ))}
      <FormField path={path("beatUnit")} label={label("beatUnit")}>
        {(attributes) => (
          <select {...attributes} value={row.beatUnit} onChange={(event) => edit("beatUnit", event.target.value)}>
            {BEAT_UNITS.map((unit) => (
              <option key={unit}>{unit}</option>
            ))}
          </select>
        )}
      </FormField>
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

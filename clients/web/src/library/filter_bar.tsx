import type { Persona } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useRef, useState } from "react";

import { en } from "../messages/en";
import { personaName } from "../personas/persona_name";
import { hrefOf, replaceRoute } from "../routing/route";
import { Field } from "../ui/field";
import style from "./filter_bar.module.css";
import {
  formatFilters,
  type LibraryFilters,
  MAX_TEXT_CHARACTERS,
  NO_FILTERS,
  parseFilters,
  parseLabel,
  STATE_CHOICES,
} from "./filters";

const DEBOUNCE_MS = 300;

interface FilterBarProps {
  /** The filters of the address. */
  readonly query: string;
  readonly personas: readonly Persona[];
}

/** The filters of the address as they are typed; written into it a moment later. */
function useTypedFilters(query: string): readonly [LibraryFilters, (patch: Partial<LibraryFilters>) => void] {
  const [typed, setTyped] = useState(() => parseFilters(query));
  const written = useRef(query);
  useEffect(() => {
    if (query === written.current) return;
    written.current = query; // by a link, or the browser's history
    setTyped(parseFilters(query));
  }, [query]);
  useEffect(() => {
    const next = formatFilters(typed);
    if (next === written.current) return;
    const timer = setTimeout(() => {
      written.current = next;
      replaceRoute({ page: "library", query: next });
    }, DEBOUNCE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return [typed, (patch) => setTyped((before) => ({ ...before, ...patch }))];
}

/** Search by prompt, persona, label and state. */
export function FilterBar({ query, personas }: FilterBarProps) {
  const [typed, change] = useTypedFilters(query);
  const ids = personas.map(({ id }) => id);
  if (typed.personaId !== "" && !ids.includes(typed.personaId)) ids.push(typed.personaId);
  const isLabelIncomplete = typed.label !== "" && parseLabel(typed.label) === undefined;
  return (
    <search className={style.filters} aria-label={en.library.filters}>
      <Field id="filter-text" label={en.library.text}>
        {(attributes) => (
          <input
            {...attributes}
            type="search"
            maxLength={MAX_TEXT_CHARACTERS}
            value={typed.text}
            onChange={(event) => change({ text: event.target.value })}
          />
        )}
      </Field>
      <Field id="filter-persona" label={en.library.persona}>
        {(attributes) => (
          <select
            {...attributes}
            value={typed.personaId}
            onChange={(event) => change({ personaId: event.target.value })}
          >
            <option value="">{en.library.anyPersona}</option>
            {ids.map((id) => (
              <option key={id} value={id}>
                {personaName(id)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        id="filter-label"
        label={en.library.label}
        hint={isLabelIncomplete ? en.library.labelIncomplete : undefined}
      >
        {(attributes) => (
          <input
            {...attributes}
            type="search"
            maxLength={MAX_TEXT_CHARACTERS}
            placeholder={en.library.labelPlaceholder}
            value={typed.label}
            onChange={(event) => change({ label: event.target.value })}
          />
        )}
      </Field>
      <Field id="filter-state" label={en.library.state}>
        {(attributes) => (
          <select
            {...attributes}
            value={typed.state}
            onChange={(event) =>
              change({ state: STATE_CHOICES.find((state) => state === event.target.value) ?? "any" })
            }
          >
            {STATE_CHOICES.map((state) => (
              <option key={state} value={state}>
                {en.library.states[state]}
              </option>
            ))}
          </select>
        )}
      </Field>
      {formatFilters(typed) !== "" && (
        <a className={style.clear} href={hrefOf({ page: "library" })} onClick={() => change(NO_FILTERS)}>
          {en.library.clear}
        </a>
      )}
    </search>
  );
}

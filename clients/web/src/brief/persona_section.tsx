import { useState, useSyncExternalStore } from "react";

import { en } from "../messages/en";
import { ClipPlayer } from "../personas/clip_player";
import { PersonaCard } from "../personas/persona_card";
import { personaName } from "../personas/persona_name";
import type { Personas } from "../personas/use_personas";
import { CallProblem } from "../ui/call_problem";
import { controlAttributes } from "../ui/control_attributes";
import { Field, FieldNotes } from "../ui/field";
import { Panel } from "../ui/panel";
import { useBriefForm } from "./brief_form";
import { controlId } from "./field_paths";
import style from "./persona_section.module.css";

const PATH = "brief.persona_id";
const FILTER_FROM = 13;
const PLACEHOLDERS = [1, 2, 3, 4, 5, 6, 7, 8];

interface PersonaSectionProps {
  readonly list: Personas;
  /** Whether they are read later, because the service is not ready. */
  readonly waits: boolean;
}

/** Keeps the room of the cards, so that nothing moves when they come. */
function Placeholders({ waits }: { readonly waits: boolean }) {
  return (
    <>
      <p className="muted">{waits ? en.brief.personasLater : en.brief.personasLoading}</p>
      <div className={style.cards} aria-hidden="true">
        {PLACEHOLDERS.map((key) => (
          <div key={key} className={style.placeholder} />
        ))}
      </div>
    </>
  );
}

/** The personas as cards that play their clips. */
export function PersonaSection({ list: { personas, problem }, waits }: PersonaSectionProps) {
  const { draft, problems, change } = useBriefForm();
  const [player] = useState(() => new ClipPlayer());
  const playing = useSyncExternalStore(player.subscribe, player.current);
  const [filter, setFilter] = useState("");
  const words = filter.trim().toLowerCase();
  const shown = personas?.filter(({ id, prefix }) =>
    `${personaName(id)} ${id} ${prefix}`.toLowerCase().includes(words),
  );
  const isGone = personas !== undefined && draft.personaId !== "" && !personas.some(({ id }) => id === draft.personaId);
  const wrong = problems.get(PATH) ?? (isGone ? en.brief.personaGone(draft.personaId) : undefined);
  const attributes = controlAttributes(controlId(PATH), en.brief.personaHint, wrong);
  return (
    <Panel title={en.brief.persona}>
      <div {...attributes} role="radiogroup" aria-label={en.brief.persona} className={style.personas}>
        <FieldNotes id={attributes.id} hint={en.brief.personaHint} problem={wrong} />
        {problem !== undefined && <CallProblem thrown={problem} />}
        {personas === undefined && problem === undefined && <Placeholders waits={waits} />}
        {personas !== undefined && personas.length >= FILTER_FROM && (
          <Field id="persona-filter" label={en.brief.personaFilter}>
            {(aria) => (
              <input {...aria} type="search" value={filter} onChange={(event) => setFilter(event.target.value)} />
            )}
          </Field>
        )}
        <div className={style.cards}>
          {shown?.map((persona) => (
            <PersonaCard
              key={persona.id}
              persona={persona}
              checked={persona.id === draft.personaId}
              playing={playing?.personaId === persona.id ? playing : undefined}
              onChoose={() => change({ personaId: persona.id })}
              onToggle={(clip) => void player.toggle(persona.id, clip)}
            />
          ))}
        </div>
        {shown?.length === 0 && <p>{en.brief.personaNone}</p>}
      </div>
    </Panel>
  );
}

import type { Persona } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { CallProblem } from "../ui/call_problem";
import { Icon } from "../ui/icon";
import { ClipError, type PlayingClip } from "./clip_player";
import style from "./persona_card.module.css";
import { personaName } from "./persona_name";

interface PersonaCardProps {
  readonly persona: Persona;
  readonly checked: boolean;
  /** The clip of this persona that plays, if any. */
  readonly playing: PlayingClip | undefined;
  readonly onChoose: () => void;
  readonly onToggle: (clipIndex: number) => void;
}

const { clips } = en.brief;

function ClipProblem({ problem }: { readonly problem: unknown }) {
  if (!(problem instanceof ClipError)) return <CallProblem thrown={problem} />;
  return <p role="alert">{problem.kind === "too large" ? clips.tooLarge : clips.unplayable}</p>;
}

/** A persona to choose, with buttons that play its reference clips. */
export function PersonaCard({ persona, checked, playing, onChoose, onToggle }: PersonaCardProps) {
  const { id, prefix, builtIn, clipSha256 } = persona;
  const name = personaName(id);
  return (
    <div className={style.card}>
      <input
        type="radio"
        className={style.radio}
        id={`persona-${id}`}
        name="persona"
        value={id}
        checked={checked}
        onChange={onChoose}
      />
      <label htmlFor={`persona-${id}`} className={style.label}>
        <span className={style.name}>
          {name}
          {builtIn && <span className={style.mark}>{en.brief.personaBuiltIn}</span>}
        </span>
        <span className={style.prefix}>{prefix}</span>
      </label>
      {clipSha256.length > 0 && (
        <div className={style.clips}>
          {clipSha256.map((sha256, index) => {
            const state = playing?.clipIndex === index ? playing.state : undefined;
            const isOn = state === "playing" || state === "loading";
            return (
              <Button
                key={sha256}
                className={style.clip}
                aria-label={(isOn ? clips.stop : clips.play)(name, index + 1)}
                onClick={() => onToggle(index)}
              >
                <span className={state === "loading" ? style.loading : undefined}>
                  <Icon name={state === "loading" ? "busy" : isOn ? "stop" : "play"} />
                </span>
                {clips.clip(index + 1)}
              </Button>
            );
          })}
        </div>
      )}
      {playing?.state === "failed" && <ClipProblem problem={playing.problem} />}
    </div>
  );
}

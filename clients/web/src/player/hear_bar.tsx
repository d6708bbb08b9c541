import { en } from "../messages/en";
import { SIDES, type SideName } from "./engine/mix";
import type { PlayerEngine } from "./engine/player_engine";
import type { Take } from "./engine/player_state";
import { formatGain } from "./format";
import style from "./transport.module.css";
import { usePlayerState } from "./use_player";

interface HearBarProps {
  readonly engine: PlayerEngine;
  readonly take: Take;
}

/** What is heard: the bounce or the stems, of one version or the other. */
export function HearBar({ engine, take }: HearBarProps) {
  const hasStems = take.main.files.drums !== undefined;
  if (!hasStems && take.against === undefined) return null;
  return (
    <div className={style.transport}>
      {hasStems && <ListenSwitch engine={engine} />}
      <Versions engine={engine} take={take} />
    </div>
  );
}

/** Two versions at the same position, at one loudness. */
function Versions({ engine, take }: HearBarProps) {
  const { wanted, loudnessMatched } = usePlayerState(engine);
  const { against } = take;
  if (against === undefined) return null;
  const number: Record<SideName, number> = { main: take.main.version, against: against.version };
  const gains = engine.matchingDb();
  const turnedDown = SIDES.find((side) => gains[side] < -0.05);
  return (
    <>
      <fieldset className={style.segments} aria-label={en.player.versions}>
        {[...SIDES]
          .sort((a, b) => number[a] - number[b])
          .map((side) => (
            <button key={side} type="button" aria-pressed={wanted.side === side} onClick={() => engine.switchTo(side)}>
              {en.player.version(number[side])}
            </button>
          ))}
      </fieldset>
      <label className={style.check}>
        <input
          type="checkbox"
          checked={loudnessMatched}
          onChange={(event) => engine.setLoudnessMatched(event.currentTarget.checked)}
        />
        {en.player.matchLoudness}
      </label>
      {loudnessMatched && (
        <span className={style.unit}>
          {turnedDown === undefined
            ? en.player.equalLoudness
            : en.player.matched(number[turnedDown], formatGain(gains[turnedDown]))}
        </span>
      )}
    </>
  );
}

interface ListenSwitchProps {
  readonly engine: PlayerEngine;
}

/** The bounce, or the stems in its place. */
function ListenSwitch({ engine }: ListenSwitchProps) {
  const { listening } = usePlayerState(engine).wanted;
  return (
    <fieldset className={style.segments} aria-label={en.player.hear}>
      {(["bounce", "stems"] as const).map((one) => (
        <button key={one} type="button" aria-pressed={listening === one} onClick={() => engine.listenTo(one)}>
          {en.player[one]}
        </button>
      ))}
    </fieldset>
  );
}

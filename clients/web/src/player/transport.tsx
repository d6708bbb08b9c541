// Play, stop and step; position; loop, click, and what is heard.

import { useRef } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { PlayerEngine } from "./engine/player_engine";
import type { Take } from "./engine/player_state";
import { formatBeat, formatTime } from "./format";
import { Icon } from "./icons";
import { LoopFields } from "./loop_fields";
import { ShortcutHelp } from "./shortcut_help";
import { stepBy } from "./step";
import style from "./transport.module.css";
import { useFrame } from "./use_frame";
import { usePlayerState } from "./use_player";

interface TransportProps {
  readonly engine: PlayerEngine;
  readonly take: Take;
}

export function Transport({ engine, take }: TransportProps) {
  const state = usePlayerState(engine);
  const { grid } = take;
  const label = state.playing ? en.player.pause : en.player.play;
  return (
    <fieldset className={style.transport} aria-label={en.player.transport}>
      <div className={style.group}>
        <Button
          look="quiet"
          className={style.square}
          aria-label={en.player.stop}
          title={`${en.player.stop} (K)`}
          onClick={() => engine.stop()}
        >
          <Icon name="stop" />
        </Button>
        <StepButton engine={engine} take={take} direction={-1} />
        <Button
          look="primary"
          className={style.play}
          aria-label={label}
          title={`${label} (Space)`}
          disabled={state.heard === undefined}
          onClick={() => (state.playing ? engine.pause() : engine.play())}
        >
          <Icon name={state.playing ? "pause" : "play"} />
        </Button>
        <StepButton engine={engine} take={take} direction={1} />
      </div>
      <PositionText engine={engine} take={take} />
      <div className={style.group}>
        <Button
          aria-pressed={state.clickOn}
          disabled={grid === undefined}
          title={grid === undefined ? en.player.clickNeedsGrid : `${en.player.click} (C)`}
          onClick={() => engine.setClick(!state.clickOn)}
        >
          {en.player.click}
        </Button>
        <Button aria-pressed={state.loopOn} onClick={() => engine.setLoop(!state.loopOn)}>
          {en.player.loop}
        </Button>
        {state.loopOn && <LoopFields engine={engine} grid={grid} />}
      </div>
      <div className={style.end}>
        <ShortcutHelp />
      </div>
    </fieldset>
  );
}

interface StepButtonProps extends TransportProps {
  readonly direction: 1 | -1;
}

function StepButton({ engine, take, direction }: StepButtonProps) {
  const back = direction === -1;
  const texts = en.player;
  const label =
    take.grid === undefined
      ? back
        ? texts.secondsBack
        : texts.secondsForward
      : back
        ? texts.barBack
        : texts.barForward;
  return (
    <Button
      look="quiet"
      className={style.square}
      aria-label={label}
      title={`${label} (${back ? "J" : "L"})`}
      onClick={() => stepBy(engine, take.grid, direction, "bar")}
    >
      <Icon name={back ? "back" : "forward"} />
    </Button>
  );
}

/** The position in numbers. */
function PositionText({ engine, take }: TransportProps) {
  const { playing } = usePlayerState(engine);
  const beat = useRef<HTMLSpanElement>(null);
  const time = useRef<HTMLSpanElement>(null);
  useFrame(playing, () => {
    const now = engine.position();
    const at = take.grid?.at(now);
    if (beat.current !== null && at !== undefined) beat.current.textContent = formatBeat(at);
    if (time.current !== null) time.current.textContent = formatTime(now);
  });
  return (
    <div className={style.position} aria-hidden="true">
      {take.grid !== undefined && (
        <div>
          <span ref={beat} className={style.big} />
          <span className={style.unit}>{en.player.barsAndBeats}</span>
        </div>
      )}
      <div>
        <span ref={time} className={style.big} />
        <span className={style.unit}>{en.player.ofLength(formatTime(take.frames / SAMPLE_RATE_HZ))}</span>
      </div>
    </div>
  );
}

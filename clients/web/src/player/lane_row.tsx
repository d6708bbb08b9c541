// One lane: its switches, level and meter, and its waveform.

import { type PointerEvent, useRef } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { frameOfSeconds, SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { FileState } from "./engine/buffer_store";
import { type LaneName, laneGain, type StemName } from "./engine/mix";
import type { PlayerEngine } from "./engine/player_engine";
import type { TempoGrid } from "./engine/tempo_grid";
import { Fader } from "./fader";
import { formatDecibels } from "./format";
import { GridLines } from "./grid_lines";
import { Icon } from "./icons";
import style from "./lane.module.css";
import { LaneWaveform } from "./lane_waveform";
import { LoopShade } from "./loop_shade";
import type { FileLoudness } from "./manifest_loudness";
import { Meter } from "./meter";
import type { TimelineView } from "./timeline_view";
import { type Peaks, usePlayerState } from "./use_player";

const CLICK_PX = 6;

interface LaneRowProps {
  readonly engine: PlayerEngine;
  readonly lane: LaneName;
  readonly grid: TempoGrid | undefined;
  readonly view: TimelineView;
  readonly frames: number;
  readonly peaks: Peaks | undefined;
  readonly fullScale: number;
  readonly loudness: FileLoudness | undefined;
  /** The version in which this stem differs from the other version that is compared. */
  readonly differsIn: number | undefined;
  readonly onDownload: ((lane: LaneName) => void) | undefined;
}

function factsOf(loudness: FileLoudness | undefined): string {
  const { lufs, truePeakDbtp } = loudness ?? {};
  const facts = [
    lufs === undefined ? "" : en.player.lufs(formatDecibels(lufs)),
    truePeakDbtp === undefined ? "" : en.player.truePeak(formatDecibels(truePeakDbtp)),
  ];
  return facts.filter((fact) => fact !== "").join(" · ");
}

export function LaneRow(props: LaneRowProps) {
  const { engine, lane, grid, view, frames, peaks, fullScale, loudness } = props;
  const state = usePlayerState(engine);
  const label = en.player.lane[lane];
  const { faderDb } = state.mix.lanes[lane];
  const silent = state.heard === undefined || laneGain(state.mix, state.heard.listening, lane) === 0;
  return (
    <fieldset
      aria-label={en.player.laneGroup(label)}
      data-lane={lane}
      className={`${style.lane} ${style[lane]} ${silent ? style.silent : ""}`}
    >
      <div className={style.head}>
        <LaneButtons {...props} />
        <Fader label={en.player.fader(label)} db={faderDb} onChange={(db) => engine.setLane(lane, { faderDb: db })} />
        <Meter engine={engine} name={lane} label={label} />
        <div className={style.facts}>{factsOf(loudness)}</div>
      </div>
      <SeekArea engine={engine} view={view}>
        <GridLines grid={grid} view={view} />
        <LoopShade engine={engine} view={view} />
        <LaneWaveform lane={lane} peaks={peaks} fullScale={fullScale} seconds={frames / SAMPLE_RATE_HZ} view={view} />
        <div className={style.playhead} data-playhead="" />
        <LaneNotice engine={engine} lane={lane} />
      </SeekArea>
    </fieldset>
  );
}

function LaneButtons({ engine, lane, differsIn, onDownload }: LaneRowProps) {
  const { mix, wanted } = usePlayerState(engine);
  const label = en.player.lane[lane];
  const { muted, soloed } = mix.lanes[lane];
  return (
    <div className={style.top}>
      <h3 className={style.name}>
        <span className={style.dot} aria-hidden="true" />
        {label}
        {differsIn !== undefined && (
          <span className={style.badge} title={en.player.changedIn(differsIn)}>
            <span className="visually-hidden">{en.player.changedIn(differsIn)}</span>
            <span aria-hidden="true">{en.player.version(differsIn)}</span>
          </span>
        )}
      </h3>
      {lane !== "bounce" && <SoloButton engine={engine} stem={lane} pressed={soloed && wanted.listening === "stems"} />}
      <button
        type="button"
        className={style.mute}
        aria-pressed={muted}
        aria-label={en.player.mute(label)}
        title={en.player.mute(label)}
        onClick={() => engine.setLane(lane, { muted: !muted })}
      >
        {en.player.muteMark}
      </button>
      {onDownload !== undefined && (
        <button
          type="button"
          className={style.toggle}
          aria-label={en.player.download(label)}
          title={en.player.download(label)}
          onClick={() => onDownload(lane)}
        >
          <Icon name="download" />
        </button>
      )}
    </div>
  );
}

interface SoloButtonProps {
  readonly engine: PlayerEngine;
  readonly stem: StemName;
  readonly pressed: boolean;
}

function SoloButton({ engine, stem, pressed }: SoloButtonProps) {
  const label = en.player.solo(en.player.lane[stem]);
  return (
    <button
      type="button"
      className={style.solo}
      aria-pressed={pressed}
      aria-label={label}
      title={label}
      onClick={() => engine.toggleSolo(stem)}
    >
      {en.player.soloMark}
    </button>
  );
}

interface SeekAreaProps {
  readonly engine: PlayerEngine;
  readonly view: TimelineView;
  readonly children: React.ReactNode;
}

/** A click moves the playhead; so does dragging with a mouse. A finger scrolls, and moves the playhead by a tap. */
function SeekArea({ engine, view, children }: SeekAreaProps) {
  const from = useRef<number>(undefined);
  const seek = (event: PointerEvent<HTMLDivElement>) => {
    const { left } = event.currentTarget.getBoundingClientRect();
    engine.seek(frameOfSeconds(view.secondsAt(event.clientX - left)));
  };
  return (
    <div
      className={style.body}
      onPointerDown={(event) => {
        // A button in the lane keeps its own click.
        if (event.button !== 0 || (event.target instanceof Element && event.target.closest("button") !== null)) return;
        from.current = event.clientX;
        if (event.pointerType === "mouse") event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (from.current === undefined || event.pointerType !== "mouse") return;
        if (Math.abs(event.clientX - from.current) >= CLICK_PX) seek(event);
      }}
      onPointerUp={(event) => {
        if (from.current !== undefined) seek(event);
        from.current = undefined;
      }}
      onPointerCancel={() => {
        from.current = undefined;
      }}
    >
      {children}
    </div>
  );
}

interface LaneNoticeProps {
  readonly engine: PlayerEngine;
  readonly lane: LaneName;
}

/** What keeps a lane from being heard: that it loads, or why it could not be loaded. */
function LaneNotice({ engine, lane }: LaneNoticeProps) {
  const { files, wanted } = usePlayerState(engine);
  const state: FileState | undefined = files[wanted.side][lane];
  const wantedNow = (lane === "bounce") === (wanted.listening === "bounce");
  if (state === undefined || state.status === "loaded" || (state.status === "waiting" && !wantedNow)) return null;
  if (state.status === "failed") {
    return (
      <div className={style.notice} role="alert">
        {en.player.failed}
        <Button look="quiet" onClick={() => engine.retry()}>
          {en.player.retry}
        </Button>
      </div>
    );
  }
  const text = state.status === "waiting" ? en.player.waiting : en.player.loading(Math.round(state.fraction * 100));
  return <div className={style.notice}>{text}</div>;
}

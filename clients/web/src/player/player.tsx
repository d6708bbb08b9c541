// The player of a take: one clock for all files, lanes under one ruler, two versions at the same position.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import { Panel } from "../ui/panel";
import { SAMPLE_RATE_HZ } from "./engine/audio_format";
import { LANES, type LaneName } from "./engine/mix";
import type { PlayerEngine } from "./engine/player_engine";
import type { Take } from "./engine/player_state";
import { Fader } from "./fader";
import { HearBar } from "./hear_bar";
import { Icon } from "./icons";
import { LaneRow } from "./lane_row";
import { Meter } from "./meter";
import style from "./player.module.css";
import { Ruler } from "./ruler";
import { ScrollBar } from "./scroll_bar";
import { useShortcuts } from "./shortcuts";
import { MAX_PLAYABLE_SECONDS } from "./take_audio";
import { TimelineView } from "./timeline_view";
import { Transport } from "./transport";
import { useFrame } from "./use_frame";
import { highestPeak, useEngine, useJobRef, useLoudness, usePeaks, usePlayerState, useTakeAudio } from "./use_player";

import { useZoomGestures, zoomAtPlayhead } from "./zoom";

interface PlayerProps {
  readonly job: Job;
  readonly version: number;
  /** A version to compare with. */
  readonly against?: number | undefined;
  /** Called with the lane whose file somebody wants. Without it there are no download buttons in the lanes. */
  readonly onDownload?: (version: number, lane: LaneName) => void;
}

/** Plays a version of a job from its bounce on; stems appear when they are stored, and nothing that plays is interrupted. */
export function Player({ job, version, against, onDownload }: PlayerProps) {
  const take = useTakeAudio(job, version, against);
  const tooLong = take !== undefined && take.frames > MAX_PLAYABLE_SECONDS * SAMPLE_RATE_HZ;
  const played = tooLong ? undefined : take;
  const engine = useEngine(played);
  const [view] = useState(() => new TimelineView());
  useShortcuts(engine, played, view);
  return (
    <Panel title={en.player.title}>
      {played !== undefined && (
        <div className={style.player} data-player="">
          <Transport engine={engine} take={played} />
          <HearBar engine={engine} take={played} />
          <Timeline engine={engine} take={played} job={job} view={view} onDownload={onDownload} />
          <MasterRow engine={engine} />
        </div>
      )}
      {tooLong && <p className="muted">{en.player.tooLong(MAX_PLAYABLE_SECONDS / 60)}</p>}
      {take === undefined && <p className="muted">{en.player.noBounce}</p>}
    </Panel>
  );
}

interface TimelineProps {
  readonly engine: PlayerEngine;
  readonly take: Take;
  readonly job: Job;
  readonly view: TimelineView;
  readonly onDownload: PlayerProps["onDownload"];
}

function Timeline({ engine, take, job, view, onDownload }: TimelineProps) {
  const { playing, heard, wanted } = usePlayerState(engine);
  const area = useRef<HTMLElement>(null);
  const ruler = useRef<HTMLDivElement>(null);
  const seconds = take.frames / SAMPLE_RATE_HZ;
  const shown = take[heard?.side ?? wanted.side] ?? take.main;
  const ref = useJobRef(job);
  const peaks = usePeaks(ref, take);
  const loudness = useLoudness(ref, shown.version, shown.files.drums !== undefined);
  const fullScale = useMemo(() => highestPeak(peaks), [peaks]);
  useZoomGestures(area, view);

  useEffect(() => {
    const element = ruler.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => view.resize(element.clientWidth, seconds));
    observer.observe(element);
    return () => observer.disconnect();
  }, [view, seconds]);

  const playheads = useRef<readonly HTMLElement[]>([]);
  useEffect(() => {
    playheads.current = [...(area.current?.querySelectorAll<HTMLElement>("[data-playhead]") ?? [])];
  });
  // Each line is moved by itself: a property that they inherit would style the whole timeline again for each frame.
  const movePlayhead = () => {
    const now = engine.position();
    if (playing) view.followTo(now);
    const transform = `translateX(${view.pixelOf(now)}px)`;
    for (const playhead of playheads.current) playhead.style.transform = transform;
  };
  useFrame(playing, movePlayhead);
  useEffect(() => view.subscribe(movePlayhead));

  const lanes = LANES.filter((lane) => shown.files[lane] !== undefined);
  return (
    <section ref={area} className={style.timeline} aria-label={en.player.timeline}>
      <div className={style.row}>
        <ZoomButtons engine={engine} view={view} />
        <div ref={ruler}>
          <Ruler engine={engine} grid={take.grid} view={view} seconds={seconds} />
        </div>
      </div>
      {lanes.map((lane) => (
        <LaneRow
          key={lane}
          engine={engine}
          lane={lane}
          grid={take.grid}
          view={view}
          frames={take.frames}
          fullScale={fullScale}
          peaks={peaks.get(shown.files[lane]?.sha256 ?? "")}
          loudness={loudness[lane]}
          differsIn={differingVersion(take, lane)}
          onDownload={onDownload && ((one) => onDownload(shown.version, one))}
        />
      ))}
      <div className={style.row}>
        <div />
        <ScrollBar view={view} />
      </div>
      {take.main.files.drums === undefined && job.brief?.stems && <p className="muted">{en.player.stemsLater}</p>}
    </section>
  );
}

/** The later of two compared versions, if this stem differs between them. */
function differingVersion(take: Take, lane: LaneName): number | undefined {
  const main = take.main.files[lane];
  const against = take.against?.files[lane];
  if (lane === "bounce" || main === undefined || against === undefined || main.sha256 === against.sha256)
    return undefined;
  return Math.max(take.main.version, take.against?.version ?? 0);
}

interface ZoomButtonsProps {
  readonly engine: PlayerEngine;
  readonly view: TimelineView;
}

function ZoomButtons({ engine, view }: ZoomButtonsProps) {
  const { follow } = useSyncExternalStore(view.subscribe, view.get);
  return (
    <div className={style.zoom}>
      <Button
        look="quiet"
        aria-label={en.player.zoomOut}
        title={en.player.zoomOut}
        onClick={() => zoomAtPlayhead(engine, view, "out")}
      >
        <Icon name="minus" />
      </Button>
      <Button
        look="quiet"
        aria-label={en.player.zoomIn}
        title={en.player.zoomIn}
        onClick={() => zoomAtPlayhead(engine, view, "in")}
      >
        <Icon name="plus" />
      </Button>
      <Button look="quiet" title={`${en.player.zoomFit} (Z)`} onClick={() => view.fit()}>
        {en.player.fit}
      </Button>
      {!view.fitted && (
        <Button
          look="quiet"
          aria-pressed={follow}
          title={en.player.followTitle}
          onClick={() => {
            view.setFollow(!follow);
            if (!follow) view.followTo(engine.position());
          }}
        >
          {en.player.follow}
        </Button>
      )}
    </div>
  );
}

interface MasterRowProps {
  readonly engine: PlayerEngine;
}

function MasterRow({ engine }: MasterRowProps) {
  const { mix } = usePlayerState(engine);
  return (
    <div className={style.master}>
      <h3>{en.player.master}</h3>
      <Fader label={en.player.masterFader} db={mix.masterDb} onChange={(db) => engine.setMaster(db)} />
      <Meter engine={engine} name="master" label={en.player.master} />
    </div>
  );
}

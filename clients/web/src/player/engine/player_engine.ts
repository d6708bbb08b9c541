// The player without its page: what was chosen, what is loaded, what sounds. One AudioContext is its only clock.

import { SAMPLE_RATE_HZ } from "./audio_format";
import { BufferStore } from "./buffer_store";
import { ClickTrack } from "./click";
import { Meters } from "./meters";
import {
  LANES,
  type LaneMix,
  type LaneName,
  type Listening,
  type Mix,
  matchingGainsDb,
  SIDES,
  type SideName,
  type StemName,
} from "./mix";
import { buildMixGraph, type MixGraph, setLevels } from "./mix_graph";
import { type PlayableFile, Playback } from "./playback";
import {
  chooseHeard,
  type FileStates,
  INITIAL_STATE,
  type PlayerState,
  sourcesOf,
  sourcesToKeep,
  type Take,
} from "./player_state";
import { frameAt, type LoopRegion } from "./run";

const TIMER_MS = 250;
const SUSPEND_AFTER_MS = 1000;

interface Audio {
  readonly context: AudioContext;
  readonly graph: MixGraph;
  readonly playback: Playback;
  readonly clicks: ClickTrack;
}

/** Plays one take. Silent until `play`, which a user's gesture has to call. */
export class PlayerEngine {
  readonly meters = new Meters();
  readonly #store = new BufferStore(() => this.#filesChanged());
  readonly #listeners = new Set<() => void>();
  #state = INITIAL_STATE;
  #take: Take | undefined;
  #audio: Audio | undefined;
  #stoppedFrame = 0;
  #stemsUsed = false;
  /** True while playback has to wait for other files to load. */
  #waiting: boolean = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #suspend: ReturnType<typeof setTimeout> | undefined;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): PlayerState => this.#state;

  /** What to play from now on. What plays goes on if its files are the same. */
  setTake(take: Take): void {
    const before = this.#take;
    this.#take = take;
    if (before?.frames !== take.frames) {
      this.#set({ loop: { startFrame: 0, endFrame: take.frames }, loopOn: false });
      this.#stoppedFrame = Math.min(this.#stoppedFrame, take.frames);
    }
    if (take.against === undefined && this.#state.wanted.side === "against") {
      this.#set({ wanted: { ...this.#state.wanted, side: "main" } });
    }
    this.#filesChanged();
    this.#keep();
  }

  /** Starts, or plays on from where it was stopped; from the beginning if that was the end. */
  play(): void {
    const take = this.#take;
    if (take === undefined || this.#state.heard === undefined || this.#state.playing) return;
    this.#waiting = false;
    const { context, playback } = this.#open();
    clearTimeout(this.#suspend);
    void context.resume();
    const from = this.#stoppedFrame >= take.frames ? 0 : this.#stoppedFrame;
    playback.start(this.#playable(), from, take.frames, this.#loop());
    this.#timer = setInterval(() => this.#tick(), TIMER_MS);
    this.#set({ playing: true });
    this.#tick();
  }

  pause(): void {
    if (this.#state.playing) this.#halt(this.#frame());
  }

  /** Stops and goes back to the beginning, or to the start of the loop. */
  stop(): void {
    const from = this.#state.loopOn ? this.#state.loop.startFrame : 0;
    if (this.#state.playing) this.#halt(from);
    else this.seek(from);
  }

  seek(frame: number): void {
    const take = this.#take;
    if (take === undefined) return;
    const target = Math.round(Math.min(Math.max(0, frame), take.frames));
    if (this.#state.playing && target >= take.frames) {
      this.#halt(target);
      return;
    }
    this.#stoppedFrame = target;
    if (this.#state.playing && this.#audio !== undefined) {
      this.#audio.playback.start(this.#playable(), target, take.frames, this.#loop());
      this.#restartClicks();
    }
    this.#set({});
  }

  /** Repeats a region, or stops repeating. A region keeps at least a tenth of a second. */
  setLoop(loopOn: boolean, region: LoopRegion = this.#state.loop): void {
    const frames = this.#take?.frames ?? 0;
    const startFrame = Math.max(0, Math.min(Math.round(region.startFrame), frames - SAMPLE_RATE_HZ / 10));
    const endFrame = Math.min(frames, Math.max(Math.round(region.endFrame), startFrame + SAMPLE_RATE_HZ / 10));
    this.#set({ loopOn, loop: { startFrame: Math.max(0, startFrame), endFrame } });
    if (!this.#state.playing || this.#audio === undefined) return;
    this.#audio.playback.changeLoop(this.#playable(), this.#loop());
    this.#restartClicks();
  }

  setClick(clickOn: boolean): void {
    this.#set({ clickOn });
    this.#restartClicks();
  }

  setLane(lane: LaneName, change: Partial<LaneMix>): void {
    const { mix } = this.#state;
    this.#setMix({ ...mix, lanes: { ...mix.lanes, [lane]: { ...mix.lanes[lane], ...change } } });
  }

  setMaster(masterDb: number): void {
    this.#setMix({ ...this.#state.mix, masterDb });
  }

  /** Solo of a stem, which also changes from the bounce to the stems. */
  toggleSolo(stem: StemName): void {
    const soloed = this.#state.wanted.listening === "bounce" || !this.#state.mix.lanes[stem].soloed;
    this.setLane(stem, { soloed });
    this.listenTo("stems");
  }

  /** Hears the bounce, or the stems in its place once they are loaded. */
  listenTo(listening: Listening): void {
    if (this.#take === undefined || sourcesOf(this.#take, { side: this.#state.wanted.side, listening }) === undefined)
      return;
    this.#stemsUsed ||= listening === "stems";
    this.#want({ ...this.#state.wanted, listening });
  }

  /** Hears the other version at the same position, once it is loaded. */
  switchTo(side: SideName): void {
    const take = this.#take;
    if (take?.[side] === undefined) return;
    const { listening } = this.#state.wanted;
    const possible = sourcesOf(take, { side, listening }) === undefined ? "bounce" : listening;
    this.#want({ side, listening: possible });
  }

  setLoudnessMatched(loudnessMatched: boolean): void {
    this.#set({ loudnessMatched });
    this.#applyLevels();
  }

  /** Loads again the files that could not be loaded. */
  retry(): void {
    this.#store.retry();
  }

  /** What sounds now, in seconds from the first sample. */
  position(): number {
    return this.#frame() / SAMPLE_RATE_HZ;
  }

  /** Stops and gives back everything. The engine can be used again by `setTake`. */
  close(): void {
    this.#halt(0);
    clearTimeout(this.#suspend);
    this.#take = undefined;
    this.#store.keep([]);
    void this.#audio?.context.close();
    this.#audio = undefined;
  }

  #open(): Audio {
    if (this.#audio !== undefined) return this.#audio;
    const context = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    const graph = buildMixGraph(context, context.destination);
    const audio = {
      context,
      graph,
      playback: new Playback(context, graph),
      clicks: new ClickTrack(context, context.destination),
    };
    this.#audio = audio;
    this.#applyLevels();
    // Without meters the player still plays.
    this.meters.connect(context, graph).catch(() => undefined);
    return audio;
  }

  #want(wanted: PlayerState["wanted"]): void {
    this.#set({ wanted });
    this.#filesChanged();
    this.#keep();
  }

  #keep(): void {
    if (this.#take === undefined) return;
    this.#store.keep(sourcesToKeep(this.#take, this.#state.wanted, this.#state.heard, this.#stemsUsed));
  }

  /** Files were loaded, or others are wanted: what sounds may change. */
  #filesChanged(): void {
    const take = this.#take;
    if (take === undefined) return;
    const loaded = (source: { readonly sha256: string }) => this.#store.buffer(source.sha256) !== undefined;
    const heard = chooseHeard(
      this.#state.wanted,
      this.#state.heard,
      (one) => sourcesOf(take, one)?.every(loaded) ?? false,
    );
    this.#set({ heard, files: { main: this.#fileStates("main"), against: this.#fileStates("against") } });
    if (heard === undefined) this.#waitToPlay();
    else if (this.#waiting) this.play();
    else if (this.#state.playing) {
      // What was heard fades out when its successor begins, not before.
      this.#applyLevels(this.#audio?.playback.join(this.#playable()));
      return;
    }
    this.#applyLevels();
  }

  #waitToPlay(): void {
    if (!this.#state.playing) return;
    this.pause();
    this.#waiting = true;
  }

  #fileStates(side: SideName): FileStates {
    const files = this.#take?.[side]?.files ?? {};
    const states: Partial<Record<LaneName, ReturnType<BufferStore["state"]>>> = {};
    for (const lane of LANES) {
      const source = files[lane];
      if (source !== undefined) states[lane] = this.#store.state(source.sha256);
    }
    return states;
  }

  #playable(): PlayableFile[] {
    const found: PlayableFile[] = [];
    for (const side of SIDES) {
      for (const lane of LANES) {
        const source = this.#take?.[side]?.files[lane];
        const buffer = source === undefined ? undefined : this.#store.buffer(source.sha256);
        if (buffer !== undefined) found.push({ side, lane, buffer });
      }
    }
    return found;
  }

  #loop(): LoopRegion | undefined {
    return this.#state.loopOn ? this.#state.loop : undefined;
  }

  #setMix(mix: Mix): void {
    this.#set({ mix });
    this.#applyLevels();
  }

  /** The gains that bring both versions to one loudness, in dB. */
  matchingDb(): Record<SideName, number> {
    if (!this.#state.loudnessMatched) return { main: 0, against: 0 };
    return matchingGainsDb({ main: this.#take?.main.lufs, against: this.#take?.against?.lufs });
  }

  /** Moves the gains, from a moment of the clock on. */
  #applyLevels(from?: number): void {
    const { heard, mix } = this.#state;
    if (this.#audio === undefined || heard === undefined) return;
    const { context, graph } = this.#audio;
    setLevels(graph, { mix, heard, matchingDb: this.matchingDb() }, from ?? context.currentTime);
  }

  #restartClicks(): void {
    this.#audio?.clicks.cancel();
    this.#tick();
  }

  #tick(): void {
    const run = this.#audio?.playback.run;
    if (this.#audio === undefined || run === undefined) return;
    const end = frameAt(run, this.#audio.context.currentTime) >= run.frames;
    if (end) this.#halt(run.frames);
    else if (this.#state.clickOn && this.#take?.grid !== undefined)
      this.#audio.clicks.schedule(run, this.#take.grid.beats);
  }

  #halt(frame: number): void {
    clearInterval(this.#timer);
    this.#waiting = false;
    this.#audio?.playback.stop();
    this.#audio?.clicks.cancel();
    this.#stoppedFrame = Math.floor(frame);
    const context = this.#audio?.context;
    this.#suspend = setTimeout(() => void context?.suspend(), SUSPEND_AFTER_MS);
    this.#set({ playing: false });
  }

  #frame(): number {
    const run = this.#audio?.playback.run;
    if (this.#audio === undefined || run === undefined) return this.#stoppedFrame;
    return frameAt(run, audibleTime(this.#audio.context));
  }

  #set(change: Partial<PlayerState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** The time of the clock that is at the loudspeaker now. Its own time moves in blocks, so it is continued by the page's clock. */
function audibleTime(context: AudioContext): number {
  const { contextTime = 0, performanceTime = 0 } = context.getOutputTimestamp();
  if (contextTime === 0 || context.state !== "running") return context.currentTime;
  const time = contextTime + (performance.now() - performanceTime) / 1000;
  return Math.min(Math.max(time, context.currentTime - 0.3), context.currentTime);
}

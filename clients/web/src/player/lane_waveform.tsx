// The waveform of one lane. wavesurfer.js draws it from the service's peaks; it neither loads nor plays anything.

import { useEffect, useRef } from "react";
import WaveSurfer from "wavesurfer.js";

import { WAVEFORM_HEIGHT, waveDrawer } from "./draw_wave";
import type { LaneName } from "./engine/mix";
import style from "./lane.module.css";
import type { TimelineView } from "./timeline_view";
import type { Peaks } from "./use_player";

const FLAT: Peaks = { minima: new Float32Array(4096), maxima: new Float32Array(4096) };

function colourOf(element: Element, lane: LaneName): string {
  return getComputedStyle(element).getPropertyValue(`--${lane}`).trim();
}

/** Repeats `draw` when the colours of the page change. */
function onSchemeChange(draw: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  return () => dark.removeEventListener("change", draw);
}

interface LaneWaveformProps {
  readonly lane: LaneName;
  readonly peaks: Peaks | undefined;
  /** The sample that is drawn at full height, in every lane alike. */
  readonly fullScale: number;
  readonly seconds: number;
  readonly view: TimelineView;
}

export function LaneWaveform({ lane, peaks = FLAT, fullScale, seconds, view }: LaneWaveformProps) {
  const container = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = container.current;
    if (element === null) return;
    const colour = colourOf(element, lane);
    const wave = WaveSurfer.create({
      container: element,
      media: document.createElement("audio"),
      height: WAVEFORM_HEIGHT,
      waveColor: colour,
      progressColor: colour,
      cursorWidth: 0,
      peaks: [peaks.maxima, peaks.minima],
      duration: seconds,
      renderFunction: waveDrawer(fullScale),
      minPxPerSec: view.get().pixelsPerSecond,
      interact: false,
      hideScrollbar: true,
      autoScroll: false,
      autoCenter: false,
    });
    const stopFollowing = followView(wave, view);
    const stopWatching = onSchemeChange(() => {
      const changed = colourOf(element, lane);
      wave.setOptions({ waveColor: changed, progressColor: changed });
    });
    return () => {
      stopFollowing();
      stopWatching();
      wave.destroy();
    };
  }, [lane, peaks, fullScale, seconds, view]);
  return <div ref={container} className={style.waveform} aria-hidden="true" />;
}

/** Keeps a waveform at the zoom and position of the view, and the view at the position to which somebody scrolls the waveform. */
function followView(wave: WaveSurfer, view: TimelineView): () => void {
  let zoomed = view.get().pixelsPerSecond;
  let request = 0;
  // While it draws, it reports scrolling that nobody did.
  let drawing = false;
  const follow = () => {
    request = 0;
    if (wave.getDecodedData() === null) return;
    const { pixelsPerSecond, scrollLeft } = view.get();
    drawing = true;
    if (pixelsPerSecond !== zoomed) wave.zoom(pixelsPerSecond);
    zoomed = pixelsPerSecond;
    wave.setScroll(scrollLeft);
    drawing = false;
  };
  const followSoon = () => {
    request ||= requestAnimationFrame(follow);
  };
  const onScroll = () => {
    if (drawing || request !== 0 || Math.abs(wave.getScroll() - view.get().scrollLeft) <= 1) return;
    view.scrollAway(wave.getScroll());
  };
  const stops = [view.subscribe(followSoon), wave.on("redrawcomplete", followSoon), wave.on("scroll", onScroll)];
  return () => {
    cancelAnimationFrame(request);
    for (const stop of stops) stop();
  };
}

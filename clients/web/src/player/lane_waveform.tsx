// The waveform of one lane. wavesurfer.js draws it from the service's peaks; it neither loads nor plays anything.

import { useEffect, useRef, useState } from "react";
import WaveSurfer from "wavesurfer.js";

import type { LaneName } from "./engine/mix";
import style from "./lane.module.css";
import type { TimelineView } from "./timeline_view";
import type { Peaks } from "./use_player";

/** Height of a waveform in CSS pixels. It is part of the style element that wavesurfer.js writes, which the page's policy allows by its digest. */
const WAVEFORM_HEIGHT = 72;
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
  readonly seconds: number;
  readonly view: TimelineView;
}

export function LaneWaveform({ lane, peaks = FLAT, seconds, view }: LaneWaveformProps) {
  const container = useRef<HTMLDivElement>(null);
  const [wave, setWave] = useState<WaveSurfer>();

  useEffect(() => {
    const element = container.current;
    if (element === null) return;
    const colour = colourOf(element, lane);
    const created = WaveSurfer.create({
      container: element,
      media: document.createElement("audio"),
      height: WAVEFORM_HEIGHT,
      waveColor: colour,
      progressColor: colour,
      cursorWidth: 0,
      peaks: [peaks.maxima, peaks.minima],
      duration: seconds,
      minPxPerSec: view.get().pixelsPerSecond,
      interact: false,
      hideScrollbar: true,
      autoScroll: false,
      autoCenter: false,
    });
    created.on("scroll", () => {
      if (Math.abs(created.getScroll() - view.get().scrollLeft) > 1) view.scrollTo(created.getScroll());
    });
    const stopWatching = onSchemeChange(() => {
      const changed = colourOf(element, lane);
      created.setOptions({ waveColor: changed, progressColor: changed });
    });
    setWave(created);
    return () => {
      stopWatching();
      created.destroy();
    };
  }, [lane, peaks, seconds, view]);

  useEffect(() => {
    if (wave === undefined) return;
    let zoomed = view.get().pixelsPerSecond;
    const follow = () => {
      const { pixelsPerSecond, scrollLeft } = view.get();
      if (pixelsPerSecond !== zoomed && wave.getDecodedData() !== null) wave.zoom(pixelsPerSecond);
      zoomed = pixelsPerSecond;
      wave.setScroll(scrollLeft);
    };
    const stopDrawn = wave.on("redrawcomplete", follow);
    const stopView = view.subscribe(follow);
    return () => {
      stopDrawn();
      stopView();
    };
  }, [wave, view]);

  return <div ref={container} className={style.waveform} aria-hidden="true" />;
}

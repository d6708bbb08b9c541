import { useEffect, useRef, useState } from "react";

import { en } from "../messages/en";
import style from "./drift.module.css";
import { type DriftGeometry, driftGeometry, type Line, type Whisker } from "./drift_geometry";
import type { DriftReport } from "./drift_report";
import { pictureWords } from "./drift_words";

interface DriftPictureProps {
  readonly report: DriftReport;
  /** Length of the take. */
  readonly seconds: number;
}

const HEIGHT = 220;

/** Offset of the new stem over the take, before and after alignment, and the limit as a band. */
export function DriftPicture({ report, seconds }: DriftPictureProps) {
  const [width, setWidth] = useState(480);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(Math.max(240, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const geometry = driftGeometry(report, Math.max(seconds, 0.001), width, HEIGHT);
  return (
    <figure className={style.figure}>
      <figcaption className="muted">{en.rerender.drift.picture}</figcaption>
      <div ref={frame}>
        <svg className={style.picture} width={width} height={HEIGHT} role="img" aria-label={pictureWords(report)}>
          <Frame geometry={geometry} />
          {geometry.onsets.map(({ x, y }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the onsets of a stored version never change.
            <circle key={index} className={style.onset} cx={x} cy={y} r={3} />
          ))}
          <Median line={geometry.before} look={style.before} />
          <Median line={geometry.after} look={style.after} />
          <Range whisker={geometry.whiskerBefore} look={style.before} />
          <Range whisker={geometry.whiskerAfter} look={style.after} />
        </svg>
      </div>
      <ul className={style.legend} aria-hidden="true">
        <li className={style.keyAfter}>{en.rerender.drift.legendAfter}</li>
        <li className={style.keyBefore}>{en.rerender.drift.legendBefore}</li>
        <li className={style.keyOnset}>{en.rerender.drift.legendOnsets}</li>
        <li className={style.keyLimit}>{en.rerender.drift.legendLimit}</li>
      </ul>
      {geometry.outside > 0 && <p className={style.note}>{en.rerender.drift.outside(geometry.outside)}</p>}
    </figure>
  );
}

function Frame({ geometry }: { readonly geometry: DriftGeometry }) {
  const { plot, limit, zero, msTicks, secondTicks } = geometry;
  const width = plot.right - plot.left;
  return (
    <>
      {limit !== undefined && (
        <rect className={style.limit} x={plot.left} y={limit.top} width={width} height={limit.bottom - limit.top} />
      )}
      {msTicks.map(({ value, at }) => (
        <g key={value}>
          <line className={style.line} x1={plot.left} x2={plot.right} y1={at} y2={at} />
          <text className={style.number} x={plot.left - 6} y={at + 4} textAnchor="end">
            {en.rerender.drift.axis(value)}
          </text>
        </g>
      ))}
      <line className={style.zero} x1={plot.left} x2={plot.right} y1={zero} y2={zero} />
      {secondTicks.map(({ value, at }) => (
        <text key={value} className={style.number} x={at} y={geometry.height - 8} textAnchor="middle">
          {en.rerender.drift.second(value)}
        </text>
      ))}
      <text className={style.number} x={plot.left + 4} y={plot.top + 12}>
        {en.rerender.drift.lateUnit}
      </text>
      <text className={style.number} x={plot.left + 4} y={plot.bottom - 4}>
        {en.rerender.drift.earlyUnit}
      </text>
    </>
  );
}

function Median({ line, look }: { readonly line: Line | undefined; readonly look: string | undefined }) {
  if (line === undefined) return null;
  return <line className={look} x1={line.from.x} y1={line.from.y} x2={line.to.x} y2={line.to.y} />;
}

/** The range of 95 % of the onsets, and the median in it. */
function Range({ whisker, look }: { readonly whisker: Whisker | undefined; readonly look: string | undefined }) {
  if (whisker === undefined) return null;
  const { x, top, bottom, median } = whisker;
  return (
    <g className={look}>
      <line x1={x} x2={x} y1={top} y2={bottom} />
      <line x1={x - 5} x2={x + 5} y1={top} y2={top} />
      <line x1={x - 5} x2={x + 5} y1={bottom} y2={bottom} />
      <circle className={style.median} cx={x} cy={median} r={4} />
    </g>
  );
}

import { useEffect, useId, useRef, useState } from "react";

import { en } from "../messages/en";
import style from "./readiness_badge.module.css";
import { ReadinessDetails } from "./readiness_details";
import type { Readiness } from "./readiness_poller";
import { useReadiness } from "./use_readiness";
import { summaryText } from "./words";

const BROKEN = new Set(["unreachable", "failed", "stopped", "signed-out"]);

function lookOf({ render, separation }: Readiness): "good" | "bad" | "busy" {
  if (render.state === "serving" && separation.state === "serving") return "good";
  return BROKEN.has(render.state) || BROKEN.has(separation.state) ? "bad" : "busy";
}

/** The state of both services in one line. Opens the details. */
export function ReadinessBadge() {
  const readiness = useReadiness();
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    const onPointer = (event: PointerEvent): void => {
      const { target } = event;
      if (!(target instanceof Node)) return;
      if (panel.current?.contains(target) === true || button.current?.contains(target) === true) return;
      setOpen(false);
    };
    addEventListener("keydown", onKey);
    addEventListener("pointerdown", onPointer);
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("pointerdown", onPointer);
    };
  }, [open]);

  return (
    <div className={style.place}>
      <button
        ref={button}
        type="button"
        className={style.badge}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        <span className={`${style.dot} ${style[lookOf(readiness)]}`} aria-hidden="true" />
        <span className={style.text} role="status">
          {summaryText(readiness)}
        </span>
      </button>
      {open && (
        <div ref={panel} id={id} className={style.details}>
          <ReadinessDetails readiness={readiness} />
          <button
            type="button"
            className={style.close}
            aria-label={en.readiness.close}
            onClick={() => {
              setOpen(false);
              button.current?.focus();
            }}
          >
            ×
          </button>
        </div>
      )}
    </div>
  );
}

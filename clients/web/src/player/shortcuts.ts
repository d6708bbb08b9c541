// Keys of the player. They never act while somebody types, nor with Ctrl, Alt or the command key.

import { useEffect } from "react";

import { LANES, type LaneName, STEMS } from "./engine/mix";
import type { PlayerEngine } from "./engine/player_engine";
import type { Take } from "./engine/player_state";
import { stepBy } from "./step";
import type { TimelineView } from "./timeline_view";
import { zoomToLoopOrFit } from "./zoom";

const NOT_TEXT = ["range", "checkbox", "radio", "button", "submit", "reset", "color", "file"];

/** True where letters are text. */
export function takesText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !NOT_TEXT.includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** True where the space bar has a meaning of its own. */
function takesSpace(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("button, a[href], summary, input, select, [popover]") !== null;
}

/** After a button of the player was clicked with a pointer, the space bar plays again. By keyboard, focus stays where it is. */
function freeSpaceBar(event: MouseEvent): void {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-player] button") : null;
  if (event.detail > 0 && button !== null && button === document.activeElement) button.blur();
}

function focusedLane(): LaneName | undefined {
  const name = document.activeElement?.closest<HTMLElement>("[data-lane]")?.getAttribute("data-lane");
  return LANES.find((lane) => lane === name);
}

function actionOf(
  event: KeyboardEvent,
  engine: PlayerEngine,
  take: Take,
  view: TimelineView,
): (() => void) | undefined {
  const { playing, clickOn, mix, wanted } = engine.getState();
  const unit = event.shiftKey ? "beat" : "bar";
  const key = event.key.toLowerCase();
  const stem = STEMS[Number(key) - 1];
  if (stem !== undefined) return () => engine.toggleSolo(stem);
  const actions: Record<string, () => void> = {
    " ": () => (playing ? engine.pause() : engine.play()),
    k: () => engine.stop(),
    j: () => stepBy(engine, take.grid, -1, unit),
    l: () => stepBy(engine, take.grid, 1, unit),
    "5": () => engine.listenTo(wanted.listening === "bounce" ? "stems" : "bounce"),
    m: () => {
      const lane = focusedLane();
      if (lane !== undefined) engine.setLane(lane, { muted: !mix.lanes[lane].muted });
    },
    x: () => engine.switchTo(wanted.side === "main" ? "against" : "main"),
    c: () => {
      if (take.grid !== undefined) engine.setClick(!clickOn);
    },
    z: () => zoomToLoopOrFit(engine, view),
    "?": () => document.querySelector<HTMLButtonElement>("[data-shortcut-help]")?.click(),
  };
  return actions[key];
}

/** Listens for the player's keys while the component is mounted. */
export function useShortcuts(engine: PlayerEngine, take: Take | undefined, view: TimelineView): void {
  useEffect(() => {
    if (take === undefined) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
      if (takesText(event.target) || (event.key === " " && takesSpace(event.target))) return;
      if (event.repeat && event.key !== "j" && event.key !== "l") return;
      if (document.querySelector("dialog[open]") !== null) return;
      const action = actionOf(event, engine, take, view);
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKeyDown);
    addEventListener("click", freeSpaceBar);
    return () => {
      removeEventListener("keydown", onKeyDown);
      removeEventListener("click", freeSpaceBar);
    };
  }, [engine, take, view]);
}

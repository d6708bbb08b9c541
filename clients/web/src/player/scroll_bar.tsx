import { useEffect, useRef, useSyncExternalStore } from "react";

import { en } from "../messages/en";
import style from "./player.module.css";
import type { TimelineView } from "./timeline_view";

interface ScrollBarProps {
  readonly view: TimelineView;
}

/** Scrolls all lanes together. Only where a part of the take is hidden. */
export function ScrollBar({ view }: ScrollBarProps) {
  const { pixelsPerSecond, seconds, scrollLeft, width } = useSyncExternalStore(view.subscribe, view.get);
  const scroller = useRef<HTMLDivElement>(null);
  const content = Math.ceil(seconds * pixelsPerSecond);
  useEffect(() => {
    const element = scroller.current;
    if (element !== null && Math.abs(element.scrollLeft - scrollLeft) > 1) element.scrollLeft = scrollLeft;
  });
  if (content <= width + 1) return null;
  return (
    <section
      ref={scroller}
      className={style.scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard
      tabIndex={0}
      aria-label={en.player.scroll}
      onScroll={(event) => {
        const { scrollLeft: now } = event.currentTarget;
        if (Math.abs(now - view.get().scrollLeft) > 1) view.scrollAway(now);
      }}
    >
      <div style={{ width: content, height: 1 }} />
    </section>
  );
}

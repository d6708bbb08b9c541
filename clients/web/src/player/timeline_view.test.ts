import { describe, expect, test } from "vitest";

import { TimelineView } from "./timeline_view";

function viewOf(width: number, seconds: number): TimelineView {
  const view = new TimelineView();
  view.resize(width, seconds);
  return view;
}

describe("TimelineView", () => {
  test("shows the whole take at first, and after a change of the width", () => {
    const view = viewOf(1000, 50);
    expect(view.get()).toMatchObject({ pixelsPerSecond: 20, scrollLeft: 0 });
    view.resize(500, 50);
    expect(view.get()).toMatchObject({ pixelsPerSecond: 10, scrollLeft: 0 });
  });

  test("what is under the pointer stays there while zooming", () => {
    const view = viewOf(1000, 50);
    const before = view.secondsAt(600);
    view.zoom(4, 600);
    expect(view.secondsAt(600)).toBeCloseTo(before, 1);
    expect(view.pixelOf(before)).toBeCloseTo(600, 0);
  });

  test("zoom ends at the whole take, and at 400 pixels a second", () => {
    const view = viewOf(1000, 50);
    view.zoom(0.01);
    expect(view.get().pixelsPerSecond).toBe(20);
    expect(view.fitted).toBe(true);
    view.zoom(1000);
    expect(view.get().pixelsPerSecond).toBe(400);
    expect(view.fitted).toBe(false);
  });

  test("never scrolls past the ends", () => {
    const view = viewOf(1000, 50);
    view.zoom(2);
    view.scrollTo(-50);
    expect(view.get().scrollLeft).toBe(0);
    view.scrollTo(99_999);
    expect(view.get().scrollLeft).toBe(1000);
  });

  test("shows a part with a margin", () => {
    const view = viewOf(1000, 50);
    view.show(10, 20);
    expect(view.pixelOf(10)).toBeCloseTo(50, 0);
    expect(view.pixelOf(20)).toBeCloseTo(950, 0);
  });

  test("turns the page before the playhead leaves it, unless following is off", () => {
    const view = viewOf(1000, 50);
    view.zoom(4, 0);
    view.followTo(5);
    expect(view.get().scrollLeft).toBe(0);
    view.followTo(12);
    expect(view.pixelOf(12)).toBeCloseTo(80, 0);
    view.scrollAway(100);
    view.followTo(40);
    expect(view.get()).toMatchObject({ scrollLeft: 100, follow: false });
    view.setFollow(true);
    view.followTo(40);
    expect(view.pixelOf(40)).toBeLessThanOrEqual(1000);
  });
});

import { expect, test } from "vitest";

import { METER_FLOOR_DB, PeakHold } from "./peak_hold";

test("rises at once, falls by 24 dB a second, and holds its peak for 1.5 s", () => {
  const meter = new PeakHold();
  meter.report(0.5, 10);
  expect(meter.read(10).db).toBeCloseTo(-6.02, 2);
  meter.report(0.001, 10.5);
  expect(meter.read(10.5).db).toBeCloseTo(-18.02, 2);
  expect(meter.read(11.4).heldDb).toBeCloseTo(-6.02, 2);
  expect(meter.read(11.6).heldDb).toBeLessThan(-40);
});

test("silence stays at the floor", () => {
  const meter = new PeakHold();
  meter.report(0, 1);
  expect(meter.read(1)).toEqual({ db: METER_FLOOR_DB, heldDb: METER_FLOOR_DB, clipped: false });
});

test("the mark of full scale stays until it is reset", () => {
  const meter = new PeakHold();
  meter.report(0.9999, 1);
  expect(meter.read(1).clipped).toBe(false);
  meter.report(1, 2);
  meter.report(0, 60);
  expect(meter.read(60).clipped).toBe(true);
  meter.reset();
  expect(meter.read(60).clipped).toBe(false);
});

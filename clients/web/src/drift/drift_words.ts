// The drift report in words that a producer understands.

import { en } from "../messages/en";
import { type DriftReport, isSlopeCertain, type Timing } from "./drift_report";

/** The verdict as one sentence or two. `stem`: "vocals". */
export function verdictWords(report: DriftReport, stem: string): string {
  const words = en.rerender.drift;
  if (report.verdict === "within") return words.within(stem);
  if (report.verdict === "unmeasurable") return words.unmeasurable(stem);
  return report.accepted ? `${words.beyond(stem)} ${words.accepted}` : words.beyond(stem);
}

/** What was measured, a sentence each. */
export function findings(report: DriftReport): readonly string[] {
  const words = en.rerender.drift;
  const found = report.after === undefined ? [] : timingFindings(report, report.after);
  found.push(report.movedMs === undefined ? words.notMoved : words.moved(report.movedMs));
  if (report.region !== undefined) found.push(words.region(report.region.fromBar, report.region.toBar));
  if (report.key !== undefined) {
    const { asked, heard, scaleShare } = report.key;
    const percent = Math.round(scaleShare * 100);
    found.push(asked === heard ? words.keyFits(heard, percent) : words.keyDiffers(heard, asked, percent));
  }
  return found;
}

function timingFindings({ judgedAgainst, limits }: DriftReport, timing: Timing): string[] {
  const words = en.rerender.drift;
  const against = judgedAgainst === "score" ? words.score : words.grid;
  const isExact = Math.abs(timing.medianMs) < 0.05;
  let median = isExact ? words.medianExact(against) : words.median(timing.medianMs, against);
  if (limits.earliestMedianMs !== undefined && limits.latestMedianMs !== undefined) {
    median += ` ${words.medianLimit(limits.earliestMedianMs, limits.latestMedianMs)}`;
  }
  const found = [median];
  if (limits.mostP95Ms !== undefined) found.push(words.p95Limit(timing.p95Ms, limits.mostP95Ms));
  else found.push(words.p95(timing.p95Ms));
  if (limits.mostMadMs !== undefined) found.push(words.scatter(timing.madMs, limits.mostMadMs));
  if (timing.slopeMsPerMinute !== undefined) found.push(slopeWords(timing, timing.slopeMsPerMinute));
  return found;
}

function slopeWords(timing: Timing, slopeMsPerMinute: number): string {
  const words = en.rerender.drift;
  if (!isSlopeCertain(timing)) return words.steady;
  return slopeMsPerMinute > 0 ? words.drags(slopeMsPerMinute) : words.rushes(slopeMsPerMinute);
}

/** The picture as one text. */
export function pictureWords({ before, after, limits }: DriftReport): string {
  const words = en.rerender.drift;
  const values = (timing: Timing | undefined): string =>
    timing === undefined ? words.unknown : words.pictureValues(timing.medianMs, timing.p95Ms);
  const { earliestMedianMs, latestMedianMs } = limits;
  const hasLimit = earliestMedianMs !== undefined && latestMedianMs !== undefined;
  const limit = hasLimit ? words.limitValues(earliestMedianMs, latestMedianMs) : words.unknown;
  return words.pictureText(values(before), values(after), limit);
}

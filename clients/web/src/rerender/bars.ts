// How many bars a take has.

import type { ResolvedBrief } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";

import { TempoGrid } from "../player/engine/tempo_grid";

/** The number of bars of a take; 0 while its tempo is not known. */
export function barCount(brief: ResolvedBrief | undefined): number {
  return brief?.tempoMap === undefined ? 0 : new TempoGrid(brief.tempoMap, brief.seconds).bars.length;
}

// The audit rows of one job.

import type { AuditRow } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { renders } from "../api/calls";

const MAX_PAGES = 50;

/** All audit rows of the job, oldest first. render_service keeps those of uploads too. */
export async function listRows(jobId: string, signal: AbortSignal): Promise<readonly AuditRow[]> {
  const rows: AuditRow[] = [];
  let pageToken = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await renders.listAuditRows({ jobId, pageToken }, { signal });
    rows.push(...answer.rows);
    pageToken = answer.nextPageToken;
    if (pageToken === "") break;
  }
  return rows;
}

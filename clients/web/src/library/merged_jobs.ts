// The jobs of both services, newest first, page by page.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

export interface JobPage {
  readonly jobs: readonly Job[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Reads one page of a service's jobs, newest first. */
export type PageReader = (pageToken: string) => Promise<JobPage>;

// A page of a narrow filter may have no job and yet a token: then the next call goes on.
const MAX_READS = 20;

class Source {
  waiting: Job[] = [];
  private token = "";
  private isOver = false;

  constructor(private readonly read: PageReader) {}

  get needsPage(): boolean {
    return this.waiting.length === 0 && !this.isOver;
  }

  get hasMore(): boolean {
    return this.waiting.length > 0 || !this.isOver;
  }

  async readPage(): Promise<void> {
    const page = await this.read(this.token);
    this.waiting.push(...page.jobs);
    this.token = page.nextPageToken;
    this.isOver = this.token === "";
  }

  end(): void {
    this.isOver = true;
  }
}

export class MergedJobs {
  private readonly sources: readonly Source[];
  /** What a service has thrown. Its further jobs are missing. */
  readonly problems: unknown[] = [];

  constructor(readers: readonly PageReader[]) {
    this.sources = readers.map((read) => new Source(read));
  }

  get hasMore(): boolean {
    return this.sources.some((source) => source.hasMore);
  }

  /** The next `count` jobs, or fewer. Each job once, also if it passes from one service to the other meanwhile. */
  async next(count: number): Promise<readonly Job[]> {
    const jobs: Job[] = [];
    for (let reads = 0; jobs.length < count && this.hasMore; ) {
      const hungry = this.sources.filter((source) => source.needsPage);
      if (hungry.length > 0) {
        if (reads >= MAX_READS) break;
        reads += 1;
        await Promise.all(hungry.map((source) => this.readPage(source)));
        continue;
      }
      const job = this.takeNewest();
      if (job !== undefined && job.jobId !== jobs.at(-1)?.jobId) jobs.push(job);
    }
    return jobs;
  }

  private takeNewest(): Job | undefined {
    // Ids sort by creation time.
    const newest = this.sources.reduce((first, second) =>
      (second.waiting[0]?.jobId ?? "") > (first.waiting[0]?.jobId ?? "") ? second : first,
    );
    return newest.waiting.shift();
  }

  private async readPage(source: Source): Promise<void> {
    try {
      await source.readPage();
    } catch (problem) {
      source.end();
      this.problems.push(problem);
    }
  }
}

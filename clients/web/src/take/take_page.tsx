interface TakePageProps {
  readonly jobId: string;
}

/** One job: its progress, player, versions, re-render panel and audit. */
export function TakePage({ jobId }: TakePageProps) {
  return <h1>{jobId}</h1>;
}

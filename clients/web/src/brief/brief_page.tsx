import { en } from "../messages/en";
import { ReadinessNotice } from "../readiness/readiness_notice";

interface BriefPageProps {
  /** The take whose brief is restored. */
  readonly fromJobId: string | undefined;
}

/** Write a brief and submit it. */
export function BriefPage({ fromJobId }: BriefPageProps) {
  return (
    <>
      <h1>{en.app.compose}</h1>
      <p>{fromJobId}</p>
      <ReadinessNotice />
    </>
  );
}

import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useEffectEvent, useMemo, useRef, useState } from "react";

import { en } from "../messages/en";
import { usePersonas } from "../personas/use_personas";
import { useReadiness } from "../readiness/use_readiness";
import { hrefOf } from "../routing/route";
import { Button } from "../ui/button";
import buttonStyle from "../ui/button.module.css";
import { CallProblem } from "../ui/call_problem";
import { usePageTitle } from "../ui/use_page_title";
import { DeleteDialog } from "./delete_dialog";
import { FilterBar } from "./filter_bar";
import { parseFilters } from "./filters";
import { JobRow } from "./job_row";
import { titleOf } from "./job_words";
import style from "./library_page.module.css";
import { type Library, useLibrary } from "./use_library";

const CLOCK_MS = 30_000;

function useNow(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), CLOCK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Lists anew when both services serve again, if one of them did not answer before. */
function useReloadOnceServing({ problems, reload }: Library, serving: boolean): void {
  const reloadIfPartial = useEffectEvent(() => {
    if (problems.length > 0) reload();
  });
  useEffect(() => {
    if (serving) reloadIfPartial();
  }, [serving]);
}

function Empty({ library, filtered }: { readonly library: Library; readonly filtered: boolean }) {
  if (library.jobs.length > 0) return null;
  if (library.loading) return <p className={style.empty}>{en.library.loading}</p>;
  if (library.problems.length > 0) return null;
  if (filtered) return <p className={style.empty}>{library.hasMore ? en.library.noMatchYet : en.library.noMatch}</p>;
  return (
    <div className={style.empty}>
      <h2>{en.library.empty}</h2>
      <p className="muted">{en.library.emptyWhat}</p>
      <a className={buttonStyle.primary} href={hrefOf({ page: "compose" })}>
        {en.library.compose}
      </a>
    </div>
  );
}

function Problems({ library }: { readonly library: Library }) {
  const [first] = library.problems;
  // The sign-in panel speaks for a missing credential.
  if (library.problems.length === 0 || callError(first).code === Code.Unauthenticated) return null;
  return (
    <div className={style.problems}>
      {library.problems.length === 1 && <p>{en.library.partly}</p>}
      <CallProblem thrown={first} />
      <Button onClick={library.reload}>{en.library.reload}</Button>
    </div>
  );
}

interface LibraryPageProps {
  /** The filters, as filters.ts writes them. */
  readonly query: string;
}

/** The caller's takes and separations. */
export function LibraryPage({ query }: LibraryPageProps) {
  usePageTitle(en.app.library);
  const filters = useMemo(() => parseFilters(query), [query]);
  const library = useLibrary(filters);
  const { render, separation } = useReadiness();
  const { personas } = usePersonas(render.state === "serving");
  useReloadOnceServing(
    library,
    [render, separation].every(({ state }) => state === "serving"),
  );
  const [deleting, setDeleting] = useState<Job>();
  const [message, setMessage] = useState("");
  const heading = useRef<HTMLHeadingElement>(null);
  const now = useNow();
  useEffect(() => {
    // The dialog has closed, and the button that opened it is gone.
    if (message !== "") heading.current?.focus();
  }, [message]);
  return (
    <>
      <div>
        <h1 ref={heading} tabIndex={-1} className={style.heading}>
          {en.app.library}
        </h1>
        <p className="muted">{en.library.intro}</p>
      </div>
      <FilterBar query={query} personas={personas ?? []} />
      <p role="status" className={message === "" ? "visually-hidden" : style.message}>
        {message}
      </p>
      <Problems library={library} />
      <Empty library={library} filtered={query !== ""} />
      {library.jobs.length > 0 && (
        <ul className={style.list} aria-label={en.library.list} aria-busy={library.loading}>
          {library.jobs.map((job) => (
            <JobRow key={job.jobId} job={job} now={now} onDelete={() => setDeleting(job)} />
          ))}
        </ul>
      )}
      <div className={style.more}>
        {library.jobs.length > 0 && <span className="muted">{en.library.shown(library.jobs.length)}</span>}
        {library.hasMore && (
          <Button disabled={library.loading} onClick={library.loadMore}>
            {library.loading ? en.library.loading : en.library.loadMore}
          </Button>
        )}
      </div>
      {deleting !== undefined && (
        <DeleteDialog
          key={deleting.jobId}
          job={deleting}
          onClose={() => setDeleting(undefined)}
          onDeleted={() => {
            library.remove(deleting.jobId);
            setMessage(en.library.removed(titleOf(deleting)));
            setDeleting(undefined);
          }}
        />
      )}
    </>
  );
}

import { useEffect, useRef } from "react";

import style from "./app.module.css";
import { BriefPage } from "./brief/brief_page";
import { LibraryPage } from "./library/library_page";
import { en } from "./messages/en";
import { ReadinessBadge } from "./readiness/readiness_badge";
import { hrefOf, type Route, useRoute } from "./routing/route";
import { SignIn } from "./session/sign_in";
import { TakePage } from "./take/take_page";

function Page({ route }: { readonly route: Route }) {
  if (route.page === "take") return <TakePage key={route.jobId} jobId={route.jobId} />;
  return route.page === "library" ? (
    <LibraryPage query={route.query ?? ""} />
  ) : (
    <BriefPage fromJobId={route.fromJobId} />
  );
}

/** The whole page: the header with the state of the services, and the page that the address names. */
export function App() {
  const route = useRoute();
  const content = useRef<HTMLElement>(null);
  const shown = route.page === "take" ? route.jobId : route.page;
  const before = useRef(shown);
  useEffect(() => {
    if (before.current === shown) return;
    before.current = shown;
    scrollTo(0, 0);
    content.current?.focus(); // what had the focus is gone
  }, [shown]);
  const current = (page: Route["page"]) => (route.page === page ? ("page" as const) : undefined);
  return (
    <>
      <button type="button" className={style.skip} onClick={() => content.current?.focus()}>
        {en.app.skipToContent}
      </button>
      <header className={style.header}>
        <div className={style.name}>
          {en.app.name} <span>{en.app.product}</span>
        </div>
        <nav aria-label={en.app.navigation}>
          <a href={hrefOf({ page: "compose" })} aria-current={current("compose")}>
            {en.app.compose}
          </a>
          <a href={hrefOf({ page: "library" })} aria-current={current("library")}>
            {en.app.library}
          </a>
        </nav>
        <ReadinessBadge />
      </header>
      <main ref={content} className={style.main} tabIndex={-1}>
        <SignIn />
        <Page route={route} />
      </main>
    </>
  );
}

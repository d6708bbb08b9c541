import { en } from "../messages/en";

interface LibraryPageProps {
  /** The filters, as filters.ts writes them. */
  readonly query: string;
}

/** The caller's takes and separations. */
export function LibraryPage({ query }: LibraryPageProps) {
  return <h1 title={query}>{en.app.library}</h1>;
}

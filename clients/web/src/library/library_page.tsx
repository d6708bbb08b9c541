/** The caller's takes and separations. */
export function LibraryPage() {
  return <h1>Library</h1>;
}

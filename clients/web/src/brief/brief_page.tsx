/** Write a brief and submit it. */
export function BriefPage() {
  return <h1>Compose</h1>;
}

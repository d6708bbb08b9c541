// Ids of personas for people.

/** "Midnight 808" for "midnight-808". */
export function personaName(id: string): string {
  return id
    .split("-")
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join(" ");
}

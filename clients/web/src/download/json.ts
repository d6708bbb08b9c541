// Reads JSON of which only the format is known: what is missing or of another type is undefined.

/** The value of a JSON text; undefined if it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A value of nested objects: `at(manifest, "rerender", "limits")`. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Reflect.get(found, name);
  }
  return found;
}

export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === "string" ? found : undefined;
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
}

export function booleanAt(value: unknown, ...path: readonly string[]): boolean {
  return at(value, ...path) === true;
}

/** The numbers of a list; empty if it is none or holds anything else. */
export function numbersAt(value: unknown, ...path: readonly string[]): readonly number[] {
  const found: unknown = at(value, ...path);
  if (!Array.isArray(found)) return [];
  const numbers = found.filter((entry): entry is number => typeof entry === "number" && Number.isFinite(entry));
  return numbers.length === found.length ? numbers : [];
}

/** The texts of a list; what is no text is left out. */
export function textsAt(value: unknown, ...path: readonly string[]): readonly string[] {
  const found: unknown = at(value, ...path);
  return Array.isArray(found) ? found.filter((entry): entry is string => typeof entry === "string") : [];
}

/** Names and texts of an object, by name. */
export function textsOf(value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== "object" || value === null) return [];
  const pairs: [string, string][] = [];
  for (const [name, text] of Object.entries(value)) if (typeof text === "string") pairs.push([name, text]);
  return pairs.sort(([a], [b]) => a.localeCompare(b));
}

// The credential of this tab. It is kept in memory and in the tab's session storage only, and ends with the tab.

const STORAGE_KEY = "sonichaos.bearer";
type Listener = () => void;

const listeners = new Set<Listener>();
let bearer = sessionStorage.getItem(STORAGE_KEY) ?? "";

/** The API key or token that calls send. Empty on loopback, where none is needed. */
export function currentBearer(): string {
  return bearer;
}

/** Use another credential from the next call on. Empty: none. */
export function setBearer(text: string): void {
  bearer = text.trim();
  if (bearer === "") sessionStorage.removeItem(STORAGE_KEY);
  else sessionStorage.setItem(STORAGE_KEY, bearer);
  for (const listener of listeners) listener();
}

/** Calls `listener` after each change; returns how to stop that. For useSyncExternalStore. */
export function onBearerChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

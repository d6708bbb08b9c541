// The last refusal of this tab's credential, from whichever call. The sign-in panel shows it.

export interface Refusal {
  /** CREDENTIALS_MISSING, CREDENTIALS_INVALID or CREDENTIALS_EXPIRED; empty if a proxy refused. */
  readonly reason: string;
  /** The service's own words. */
  readonly message: string;
}

type Listener = () => void;

const listeners = new Set<Listener>();
let refusal: Refusal | undefined;

/** Not set while no call was refused since the credential last changed. */
export function currentRefusal(): Refusal | undefined {
  return refusal;
}

export function setRefusal(next: Refusal | undefined): void {
  if (refusal?.reason === next?.reason && refusal?.message === next?.message) return;
  refusal = next;
  for (const listener of listeners) listener();
}

/** Calls `listener` after each change; returns how to stop that. For useSyncExternalStore. */
export function onRefusalChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// The id of a request: the same for each attempt to submit a brief, so that a retry after a lost answer makes no second take.

const STORAGE_KEY = "sonichaos.request";

/** The brief that was sent last without an answer, and the id that it was sent with. */
export interface OpenRequest {
  readonly requestId: string;
  readonly briefJson: string;
}

function drawRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The open request if it is for the same brief, else a new one. */
export function requestFor(
  briefJson: string,
  open: OpenRequest | undefined,
  drawId: () => string = drawRequestId,
): OpenRequest {
  return open?.briefJson === briefJson ? open : { requestId: drawId(), briefJson };
}

/** The open request of a stored text; undefined if it holds none. */
export function openRequestFromText(stored: string): OpenRequest | undefined {
  try {
    const value: unknown = JSON.parse(stored);
    if (typeof value !== "object" || value === null) return;
    const requestId: unknown = Reflect.get(value, "requestId");
    const briefJson: unknown = Reflect.get(value, "briefJson");
    return typeof requestId === "string" && typeof briefJson === "string" ? { requestId, briefJson } : undefined;
  } catch {
    return;
  }
}

/** Survives a reload, unlike a variable: the answer may have been lost because of it. */
export const openRequest = {
  load: (): OpenRequest | undefined => openRequestFromText(sessionStorage.getItem(STORAGE_KEY) ?? ""),
  save: (request: OpenRequest): void => {
    try {
      sessionStorage.setItem(STORAGE_KEY, JSON.stringify(request));
    } catch {
      sessionStorage.removeItem(STORAGE_KEY); // too long for the storage: kept by the caller only
    }
  },
  clear: (): void => sessionStorage.removeItem(STORAGE_KEY),
};

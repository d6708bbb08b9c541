// Which part of a take the lanes show. One for all lanes, so that they stay aligned.

const MAX_PIXELS_PER_SECOND = 400;
/** Share of the width that the playhead may cross before the view turns a page, and where it then stands. */
const PAGE_AT = 0.92;
const PAGE_TO = 0.08;

export interface Viewport {
  /** Visible width in CSS pixels. */
  readonly width: number;
  readonly seconds: number;
  readonly pixelsPerSecond: number;
  /** Hidden pixels on the left. */
  readonly scrollLeft: number;
  readonly follow: boolean;
}

export class TimelineView {
  #now: Viewport = { width: 0, seconds: 1, pixelsPerSecond: 0, scrollLeft: 0, follow: true };
  #fitted: boolean = true;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly get = (): Viewport => this.#now;

  /** Position of a moment in CSS pixels from the left edge of the lanes. */
  pixelOf(seconds: number): number {
    return seconds * this.#now.pixelsPerSecond - this.#now.scrollLeft;
  }

  /** The moment at a pixel, within the take. */
  secondsAt(pixel: number): number {
    const { scrollLeft, pixelsPerSecond, seconds } = this.#now;
    return pixelsPerSecond === 0 ? 0 : Math.min(seconds, Math.max(0, (pixel + scrollLeft) / pixelsPerSecond));
  }

  resize(width: number, seconds: number): void {
    const { width: oldWidth, seconds: oldSeconds, pixelsPerSecond, scrollLeft } = this.#now;
    if (width === oldWidth && seconds === oldSeconds) return;
    this.#now = { ...this.#now, width, seconds };
    const fitting = width / seconds;
    const fitted = this.#fitted || pixelsPerSecond < fitting;
    this.#show(fitted ? fitting : pixelsPerSecond, scrollLeft, fitted);
  }

  /** Zooms about a pixel, which stays where it is. */
  zoom(factor: number, pixel: number = this.#now.width / 2): void {
    const { width, seconds, pixelsPerSecond } = this.#now;
    const fitting = width / seconds;
    const wanted = Math.min(Math.max(pixelsPerSecond * factor, fitting), Math.max(fitting, MAX_PIXELS_PER_SECOND));
    const anchor = this.secondsAt(pixel);
    this.#show(wanted, anchor * wanted - pixel, wanted === fitting);
  }

  fit(): void {
    this.#show(this.#now.width / this.#now.seconds, 0, true);
  }

  /** Shows a part of the take over most of the width. */
  show(startSeconds: number, endSeconds: number): void {
    const { width, seconds } = this.#now;
    const margin = width * 0.05;
    const fitting = width / seconds;
    const wanted = (width - 2 * margin) / Math.max(0.1, endSeconds - startSeconds);
    const pixelsPerSecond = Math.min(Math.max(wanted, fitting), Math.max(fitting, MAX_PIXELS_PER_SECOND));
    this.#show(pixelsPerSecond, startSeconds * pixelsPerSecond - margin, pixelsPerSecond === fitting);
  }

  get fitted(): boolean {
    return this.#fitted;
  }

  scrollTo(scrollLeft: number): void {
    if (Math.abs(scrollLeft - this.#now.scrollLeft) < 1) return;
    this.#show(this.#now.pixelsPerSecond, scrollLeft, this.#fitted);
  }

  /** Somebody looks at another part: the view stays there until `setFollow(true)`. */
  scrollAway(scrollLeft: number): void {
    this.#now = { ...this.#now, follow: false };
    this.scrollTo(scrollLeft);
  }

  setFollow(follow: boolean): void {
    this.#change({ follow });
  }

  /** Turns the page if the playhead has left it, or is about to. */
  followTo(seconds: number): void {
    const { width, follow, scrollLeft } = this.#now;
    const pixel = this.pixelOf(seconds);
    if (!follow || this.#fitted || (pixel >= 0 && pixel <= width * PAGE_AT)) return;
    this.scrollTo(pixel + scrollLeft - width * PAGE_TO);
  }

  #show(pixelsPerSecond: number, scrollLeft: number, fitted: boolean): void {
    const { width, seconds } = this.#now;
    const hidden = Math.max(0, Math.ceil(seconds * pixelsPerSecond) - width);
    this.#fitted = fitted;
    this.#change({ pixelsPerSecond, scrollLeft: fitted ? 0 : Math.round(Math.min(Math.max(0, scrollLeft), hidden)) });
  }

  #change(change: Partial<Viewport>): void {
    const next = { ...this.#now, ...change };
    this.#now = next;
    for (const listener of this.#listeners) listener();
  }
}

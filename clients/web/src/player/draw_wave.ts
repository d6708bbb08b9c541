// How a waveform looks: one column for each pixel of the display, from the lowest to the highest sample.

/** In CSS pixels. It is in the style element of wavesurfer.js, which hostctl/web/guard.py allows by its digest: change both together. */
export const WAVEFORM_HEIGHT = 72;

/** The lowest and highest of the points that a column covers; at least one point. */
export function columnOf(
  points: { readonly minima: ArrayLike<number>; readonly maxima: ArrayLike<number> },
  column: number,
  columns: number,
): { readonly low: number; readonly high: number } {
  const count = points.maxima.length;
  const first = Math.min(count - 1, Math.floor((column * count) / columns));
  const end = Math.max(first + 1, Math.floor(((column + 1) * count) / columns));
  let low = points.minima[first] ?? 0;
  let high = points.maxima[first] ?? 0;
  for (let i = first + 1; i < end; i++) {
    low = Math.min(low, points.minima[i] ?? 0);
    high = Math.max(high, points.maxima[i] ?? 0);
  }
  return { low, high };
}

/** A drawing function for wavesurfer.js, whose own leaves a gap where two of its canvases meet. */
export function waveDrawer(fullScale: number) {
  return ([maxima, minima]: readonly ArrayLike<number>[], context: CanvasRenderingContext2D): void => {
    if (maxima === undefined || minima === undefined || maxima.length === 0) return;
    const { width, height } = context.canvas;
    const half = height / 2;
    for (let column = 0; column < width; column++) {
      const { low, high } = columnOf({ minima, maxima }, column, width);
      const top = half - Math.max(0.5, (high / fullScale) * half);
      const bottom = half - Math.min(-0.5, (low / fullScale) * half);
      context.fillRect(column, top, 1, bottom - top);
    }
  };
}

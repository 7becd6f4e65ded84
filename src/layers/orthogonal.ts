import type { Room } from '../core/room.ts';

/**
 * A random matrix with orthonormal columns (or rows, where it is wide), distributed evenly over all such matrices: the Q of a normal
 * draw, with the signs of R's diagonal (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
 * Gram-Schmidt in float64 on panels of four vectors, so that every number that is read is used several times; again where much of a vector was
 * taken away (Giraud and Langou, 2003). It makes the diagonal of R positive by itself, which is the same as fixing the signs.
 *
 * @param room makes arrays of zeros, of which the first is the result
 */
export function orthogonalMatrix(
  rows: number,
  columns: number,
  gain: number,
  normal: (count: number, into: Float32Array) => void,
  room: Room,
): Float32Array {
  const length = Math.max(rows, columns);
  const count = Math.min(rows, columns);
  const values = room(rows * columns);
  const { buffer, byteOffset } = room(2 * 4 * length * Math.ceil(count / 4));
  const panels = Array.from(
    { length: Math.ceil(count / 4) },
    (_, p) => new Float64Array(buffer, byteOffset + p * 4 * length * 8, 4 * length),
  );
  normal(length * count, values);
  spread(values, panels, count);
  for (let p = 0; p < panels.length; p++) {
    leavePanels(panels, p);
    for (let k = 0; k < Math.min(4, count - 4 * p); k++) finishVector(panels, p, k);
  }
  const [along, across] = rows >= columns ? [columns, 1] : [1, columns];
  for (let j = 0; j < count; j++) gather(panels[j >> 2], j & 3, gain, values, j * across, along);
  return values;
}

/** Element i of vector j of the basis, column j of the tall matrix, goes to 4 i + j % 4 of panel j / 4. The last one ends in zeros. */
function spread(tall: Float32Array, panels: readonly Float64Array[], count: number): void {
  for (let j = 0; j < count; j++) {
    const panel = panels[j >> 2];
    for (let at = j & 3, from = j; at < panel.length; at += 4, from += count) panel[at] = tall[from];
  }
}

/** Writes vector k of a panel. */
function gather(
  panel: Float64Array,
  k: number,
  gain: number,
  values: Float32Array,
  first: number,
  stride: number,
): void {
  for (let at = k, to = first; at < panel.length; at += 4, to += stride) values[to] = gain * panel[at];
}

/** Takes the components along all panels before out of a panel. */
function leavePanels(panels: readonly Float64Array[], at: number): void {
  const panel = panels[at];
  for (let pass = 0, isDone = false; pass < 4 && !isDone; pass++) {
    const [a, b, c, d] = [squareOf(panel, 0), squareOf(panel, 1), squareOf(panel, 2), squareOf(panel, 3)];
    for (let t = 0; t < at; t++) {
      takeAway(panels[t], 0, panel);
      takeAway(panels[t], 2, panel);
    }
    // What is left of a vector that has lost most of itself is not orthogonal enough yet.
    isDone =
      squareOf(panel, 0) >= 0.5 * a &&
      squareOf(panel, 1) >= 0.5 * b &&
      squareOf(panel, 2) >= 0.5 * c &&
      squareOf(panel, 3) >= 0.5 * d;
  }
}

/** Makes vector k of a panel orthogonal to those before it in the panel, and of length 1. */
function finishVector(panels: readonly Float64Array[], at: number, k: number): void {
  const panel = panels[at];
  for (let pass = 0; pass < 4; pass++) {
    const before = squareOf(panel, k);
    for (let j = 0; j < k; j++) takeAwayOne(panel, j, panel, k);
    if (squareOf(panel, k) >= 0.5 * before) break;
    // What went here leaves a larger share of what the panels before still have in it.
    for (let t = 0; t < at; t++) for (let j = 0; j < 4; j++) takeAwayOne(panels[t], j, panel, k);
  }
  const square = squareOf(panel, k);
  scaleVector(panel, k, square > 0 ? 1 / Math.sqrt(square) : 0);
}

function scaleVector(panel: Float64Array, k: number, scale: number): void {
  for (let i = k; i < panel.length; i += 4) panel[i] *= scale;
}

function squareOf(panel: Float64Array, k: number): number {
  let square = 0;
  for (let i = k; i < panel.length; i += 4) square += panel[i] * panel[i];
  return square;
}

/** Takes the component along vector j of a panel out of vector k of another, or of the same. */
function takeAwayOne(basis: Float64Array, j: number, panel: Float64Array, k: number): void {
  let dot = 0;
  for (let i = 0; i < panel.length; i += 4) dot += basis[i + j] * panel[i + k];
  for (let i = 0; i < panel.length; i += 4) panel[i + k] -= dot * basis[i + j];
}

/** The same for vectors j and j + 1, and all four of the other panel. */
function takeAway(basis: Float64Array, j: number, panel: Float64Array): void {
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let i = 0; i < panel.length; i += 4) {
    const a = basis[i + j];
    const b = basis[i + j + 1];
    const v0 = panel[i];
    const v1 = panel[i + 1];
    const v2 = panel[i + 2];
    const v3 = panel[i + 3];
    a0 += a * v0;
    a1 += a * v1;
    a2 += a * v2;
    a3 += a * v3;
    b0 += b * v0;
    b1 += b * v1;
    b2 += b * v2;
    b3 += b * v3;
  }
  for (let i = 0; i < panel.length; i += 4) {
    const a = basis[i + j];
    const b = basis[i + j + 1];
    panel[i] -= a0 * a + b0 * b;
    panel[i + 1] -= a1 * a + b1 * b;
    panel[i + 2] -= a2 * a + b2 * b;
    panel[i + 3] -= a3 * a + b3 * b;
  }
}

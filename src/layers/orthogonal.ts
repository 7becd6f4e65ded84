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
  // Element i of vector j of the basis, column j of the tall matrix, stands at 4 i + j % 4 of panel j / 4. The last one ends in zeros.
  const { buffer, byteOffset } = room(2 * 4 * length * Math.ceil(count / 4));
  const panels = Array.from(
    { length: Math.ceil(count / 4) },
    (_, p) => new Float64Array(buffer, byteOffset + p * 4 * length * 8, 4 * length),
  );
  normal(length * count, values);
  for (let i = 0; i < length; i++)
    for (let j = 0; j < count; j++) panels[j >> 2][4 * i + (j & 3)] = values[i * count + j];
  for (let j = 0; j < count; j += 4) orthogonalize(panels, j >> 2, Math.min(4, count - j));
  const tall = rows >= columns;
  for (let j = 0; j < count; j++) {
    const panel = panels[j >> 2];
    for (let i = 0; i < length; i++) values[tall ? i * columns + j : j * columns + i] = gain * panel[4 * i + (j & 3)];
  }
  return values;
}

/** Makes the vectors of a panel orthonormal to those of all panels before, and to each other. */
function orthogonalize(panels: readonly Float64Array[], at: number, vectors: number): void {
  const panel = panels[at];
  const all = Array.from({ length: vectors }, (_, k) => k);
  for (let pass = 0; pass < 4; pass++) {
    const before = all.map((k) => squareOf(panel, k));
    for (let t = 0; t < at; t++) {
      takeAway(panels[t], 0, panel);
      takeAway(panels[t], 2, panel);
    }
    // What is left of a vector that has lost most of itself is not orthogonal enough yet.
    if (all.every((k) => squareOf(panel, k) >= 0.5 * before[k])) break;
  }
  for (const k of all) {
    for (let pass = 0; pass < 4; pass++) {
      const before = squareOf(panel, k);
      for (let j = 0; j < k; j++) takeAwayOne(panel, j, panel, k);
      if (squareOf(panel, k) >= 0.5 * before) break;
      // What went here leaves a larger share of what the panels before still have in it.
      for (let t = 0; t < at; t++) for (let j = 0; j < 4; j++) takeAwayOne(panels[t], j, panel, k);
    }
    const square = squareOf(panel, k);
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = k; i < panel.length; i += 4) panel[i] *= scale;
  }
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

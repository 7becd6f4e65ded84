/**
 * A random matrix with orthonormal columns (or rows, where it is wide), distributed evenly over all such matrices: the Q of a normal
 * draw, with the signs of R's diagonal (Mezzadri, "How to generate random matrices from the classical compact groups", 2007). Modified
 * Gram-Schmidt, twice, in float64; it makes the diagonal of R positive by itself, which is the same as fixing the signs.
 */
export function orthogonalMatrix(
  rows: number,
  columns: number,
  gain: number,
  normal: (count: number) => Float32Array,
): Float32Array {
  const length = Math.max(rows, columns);
  const count = Math.min(rows, columns);
  // Vector j of the basis is column j of the tall matrix, stored contiguously.
  const draw = normal(length * count);
  const basis: Float64Array[] = [];
  for (let j = 0; j < count; j++) {
    const v = new Float64Array(length);
    for (let i = 0; i < length; i++) v[i] = draw[i * count + j];
    for (let pass = 0; pass < 2; pass++)
      for (const q of basis) {
        let dot = 0;
        for (let i = 0; i < length; i++) dot += q[i] * v[i];
        for (let i = 0; i < length; i++) v[i] -= dot * q[i];
      }
    let square = 0;
    for (let i = 0; i < length; i++) square += v[i] * v[i];
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = 0; i < length; i++) v[i] *= scale;
    basis.push(v);
  }
  const values = new Float32Array(rows * columns);
  const tall = rows >= columns;
  for (let j = 0; j < count; j++)
    for (let i = 0; i < length; i++) values[tall ? i * columns + j : j * columns + i] = gain * basis[j][i];
  return values;
}

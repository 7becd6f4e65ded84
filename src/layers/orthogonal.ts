/**
 * A random matrix with orthonormal columns (or rows, where it is wide), distributed evenly over all such matrices: the Q of a normal
 * draw, with the signs of R's diagonal (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
 * Gram-Schmidt in float64, four vectors of the basis at a time, again where much of a vector was taken away (Giraud and Langou, 2003); it makes
 * the diagonal of R positive by itself, which is the same as fixing the signs.
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
    let before = squareOf(v);
    takeAway(basis, v);
    let square = squareOf(v);
    // What is left of a vector that has lost most of itself is not orthogonal enough yet.
    for (let pass = 0; pass < 3 && square < 0.5 * before; pass++) {
      before = square;
      takeAway(basis, v);
      square = squareOf(v);
    }
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

function squareOf(v: Float64Array): number {
  let square = 0;
  for (let i = 0; i < v.length; i++) square += v[i] * v[i];
  return square;
}

/** Takes the components along the basis out of v. */
function takeAway(basis: readonly Float64Array[], v: Float64Array): void {
  let j = 0;
  for (; j + 4 <= basis.length; j += 4) {
    const [a, b, c, d] = [basis[j], basis[j + 1], basis[j + 2], basis[j + 3]];
    let da = 0;
    let db = 0;
    let dc = 0;
    let dd = 0;
    for (let i = 0; i < v.length; i++) {
      const x = v[i];
      da += a[i] * x;
      db += b[i] * x;
      dc += c[i] * x;
      dd += d[i] * x;
    }
    for (let i = 0; i < v.length; i++) v[i] -= da * a[i] + db * b[i] + (dc * c[i] + dd * d[i]);
  }
  for (; j < basis.length; j++) {
    const a = basis[j];
    let dot = 0;
    for (let i = 0; i < v.length; i++) dot += a[i] * v[i];
    for (let i = 0; i < v.length; i++) v[i] -= dot * a[i];
  }
}

/** The 16-bit float with the exponent of float32 and 8 bits of precision. */

const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);

/** The nearest bfloat16 of the nearest float32, ties to even. NaN stays NaN; what is too large becomes infinite. */
export function roundBfloat16(x: number): number {
  number[0] = x;
  const given = bits[0];
  if ((given & 0x7fffffff) > 0x7f800000) return Number.NaN;
  bits[0] = (given + 0x7fff + ((given >>> 16) & 1)) & 0xffff0000;
  return number[0];
}

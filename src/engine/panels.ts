/** How wide the panels of packed right-hand sides are, in blocks of 16 floats; measured on AVX-512 (see bench/). */

/**
 * @param vector floats in a vector register of the machine
 * @param rows rows of the product
 * @param blocks blocks of its result
 */
export function panelOf(vector: number, rows: number, blocks: number): number {
  // Narrower machines hold one block of a few rows in registers.
  if (vector < 16) return 1;
  if (rows === 1 && blocks % 8 === 0) return 8;
  if (blocks % 4 === 0) return 4;
  if (blocks % 3 === 0) return 3;
  return Math.min(blocks, blocks % 2 ? 3 : 2);
}

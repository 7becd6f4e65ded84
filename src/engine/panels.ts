/** How wide the panels of packed right-hand sides are, in blocks of 16 floats; measured on AVX-512 (see bench/). */

/**
 * @param vector floats in a vector register of the machine
 * @param rows rows of the product
 * @param blocks blocks of its right-hand side
 * @param period blocks that belong together; 0: any
 */
export function panelOf(vector: number, rows: number, blocks: number, period = 0): number {
  // Narrower machines hold one block of a few rows in registers.
  if (vector < 16) return 1;
  if (period) return period;
  if (rows === 1 && blocks % 8 === 0) return 8;
  if (blocks % 4 === 0) return 4;
  if (blocks % 3 === 0) return 3;
  return Math.min(blocks, blocks % 2 ? 3 : 2);
}

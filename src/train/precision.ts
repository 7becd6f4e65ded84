/** The choice of the precision that products are made in. */
import { fail } from '../core/errors.ts';
import type { Precision } from '../ir/graph.ts';

export type { Precision } from '../ir/graph.ts';

/** Throws ARGUMENT for what is none. */
export function checkPrecision(precision: unknown, where: string): Precision {
  if (precision === 'float32' || precision === 'bfloat16') return precision;
  return fail('ARGUMENT', where, "'float32' or 'bfloat16'", JSON.stringify(precision) ?? 'undefined');
}

/** Products of two tensors named by letters, as one (batched) matrix product between transpositions. */
import { fail } from '../core/errors.ts';
import { formatShape, sizeOf } from '../core/shape.ts';
import { batchMatmul } from './batch-matmul.ts';
import { matmul } from './matmul.ts';
import { sum } from './reduce.ts';
import { reshape, transpose } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** `ab,bc->ac` taken apart; every letter names one axis. */
export interface EinsumTerms {
  readonly left: string;
  readonly right: string;
  readonly result: string;
}

/**
 * Takes an equation apart. An ellipsis, at the beginning or at the end of the left operand and of the result, stands for the axes that the
 * other letters leave. Throws ARGUMENT.
 *
 * @param rank axes of the left operand
 */
export function einsumTerms(equation: string, rank: number, where: string): EinsumTerms {
  const expected = "'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...', each letter once in a term";
  const match = /^(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?$/.exec(
    equation.replace(/\s/g, ''),
  );
  if (!match) fail('ARGUMENT', where, expected, `'${equation}'`);
  const [, front, left, back, right, resultFront, result, resultBack] = match;
  const distinct = (term: string) => new Set(term).size === term.length;
  if (!!front !== !!resultFront || !!back !== !!resultBack || (front && back) || ![left, right, result].every(distinct))
    fail('ARGUMENT', where, expected, `'${equation}'`);
  const missing = rank - left.length;
  if (missing < 0 || (missing > 0 && !front && !back))
    fail('SHAPE', where, `${left.length} axes for '${left}' in '${equation}'`, `${rank} axes`);
  const used = new Set(left + right + result);
  const free = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ']
    .filter((c) => !used.has(c))
    .slice(0, missing)
    .join('');
  const terms = front
    ? { left: free + left, right, result: free + result }
    : { left: left + free, right, result: result + free };
  const stray = [...terms.result].find((c) => !terms.left.includes(c) && !terms.right.includes(c));
  if (stray) fail('ARGUMENT', where, `every letter of the result in an operand`, `'${stray}' in '${equation}'`);
  return terms;
}

/**
 * The sum over all axes that the result does not name, of the product of a and b: `einsum({left: 'btd', right: 'dh', result: 'bth'}, x, w)`.
 * Letters that only the right operand has must be in the result.
 */
export function einsum({ left, right, result }: EinsumTerms, a: Tensor, b: Tensor): Tensor {
  const where = a.graph.path ? `${a.graph.path}: einsum` : 'einsum';
  const sizes = new Map<string, number>();
  for (const [term, x] of [
    [left, a],
    [right, b],
  ] as const)
    [...term].forEach((letter, i) => {
      const known = sizes.get(letter) ?? x.shape[i];
      if (x.rank !== term.length || known !== x.shape[i])
        fail(
          'SHAPE',
          where,
          `operands for '${left},${right}->${result}'`,
          `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
        );
      sizes.set(letter, known);
    });
  const alone = [...right].find((c) => !left.includes(c) && !result.includes(c));
  if (alone) fail('UNSUPPORTED', where, `letters of '${right}' that stand in another term`, `'${alone}'`);
  // Axes that only the left operand has are summed before anything else.
  const lost = [...left].flatMap((c, i) => (right.includes(c) || result.includes(c) ? [] : [i]));
  if (lost.length) {
    const rest = [...left].filter((_, i) => !lost.includes(i)).join('');
    return einsum({ left: rest, right, result }, sum(a, { axes: lost }), b);
  }
  const batch = [...left].filter((c) => right.includes(c) && result.includes(c));
  const rows = [...left].filter((c) => !right.includes(c));
  const inner = [...left].filter((c) => right.includes(c) && !result.includes(c));
  const columns = [...right].filter((c) => !left.includes(c));
  const shapeOf = (letters: readonly string[]) => letters.map((c) => sizes.get(c) as number);
  const arranged = (x: Tensor, term: string, order: readonly string[]) => {
    const perm = order.map((c) => term.indexOf(c));
    return perm.every((p, i) => p === i) ? x : transpose(x, perm);
  };
  const matrix = (x: Tensor, [p, q]: readonly (readonly string[])[]) =>
    reshape(x, [...shapeOf(batch), sizeOf(shapeOf(p)), sizeOf(shapeOf(q))]);
  const x = matrix(arranged(a, left, [...batch, ...rows, ...inner]), [rows, inner]);
  const w = matrix(arranged(b, right, [...batch, ...inner, ...columns]), [inner, columns]);
  const product = batch.length ? batchMatmul(x, w) : matmul(x, w);
  const order = [...batch, ...rows, ...columns];
  return arranged(reshape(product, shapeOf(order)), order.join(''), [...result]);
}

/**
 * The matrix product in the three forms that a model and its gradients need. All operands are f32; leading axes count as rows.
 *
 * - nn: a[..., K] x b[K, N] -> [..., N]
 * - nt: a[..., K] x b[N, K] -> [..., N]
 * - tn: a[R..., M] x b[R..., N] -> [M, N], the sum over all leading axes, which must agree
 *
 * With the precision bfloat16, entries of both operands are rounded to it (to nearest, ties to even); what is multiplied is summed and
 * given in float32. The derivative has the precision of the product. A product whose result has one column is always float32.
 */
import { roundBfloat16 } from '../core/bfloat16.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Attributes, Precision } from '../ir/graph.ts';
import { type Dense, defineOperation } from './op.ts';
import { apply, type Tensor } from './tensor.ts';

export type MatmulForm = 'nn' | 'nt' | 'tn';

const expected: Readonly<Record<MatmulForm, string>> = {
  nn: 'a[..., K] and b[K, N]',
  nt: 'a[..., K] and b[N, K]',
  tn: 'a[R..., M] and b[R..., N]',
};

const last = (shape: Shape): number => shape[shape.length - 1];

function fits(form: MatmulForm, a: Shape, b: Shape): boolean {
  if (!a.length) return false;
  if (form === 'tn') return b.length === a.length && sameShape(a.slice(0, -1), b.slice(0, -1));
  return b.length === 2 && last(a) === b[form === 'nn' ? 0 : 1];
}

function resultShape(form: MatmulForm, a: Shape, b: Shape): Shape {
  if (form === 'tn') return [last(a), last(b)];
  return [...a.slice(0, -1), b[form === 'nn' ? 1 : 0]];
}

const rounded = ({ shape, data }: Dense): Dense => ({ shape, data: data.map(roundBfloat16) });

/** Of a product that stands in a graph. */
export const precisionOf = (attributes: Attributes): Precision =>
  attributes.precision === 'bfloat16' ? 'bfloat16' : 'float32';

const matmulOperation = defineOperation({
  name: 'matmul',
  infer([a, b], attributes) {
    const form = attributes.form as MatmulForm;
    if (a.dtype !== 'f32' || b.dtype !== 'f32' || !fits(form, a.shape, b.shape))
      fail(
        'SHAPE',
        form === 'nn' ? 'matmul' : `matmul${form.toUpperCase()}`,
        `${expected[form]} in f32`,
        `${a.dtype}${formatShape(a.shape)} and ${b.dtype}${formatShape(b.shape)}`,
      );
    return [{ dtype: 'f32', shape: resultShape(form, a.shape, b.shape) }];
  },
  evaluate(operands, attributes) {
    const [a, b] = attributes.precision === 'bfloat16' ? operands.map(rounded) : operands;
    const form = attributes.form as MatmulForm;
    const shape = resultShape(form, a.shape, b.shape);
    const data = new Float64Array(sizeOf(shape));
    const n = last(shape);
    const m = last(a.shape);
    if (form === 'tn') {
      const rows = sizeOf(a.shape.slice(0, -1));
      for (let r = 0; r < rows; r++)
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) data[i * n + j] += a.data[r * m + i] * b.data[r * n + j];
      return [{ shape, data }];
    }
    const rows = sizeOf(shape.slice(0, -1));
    for (let r = 0; r < rows; r++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < m; k++) sum += a.data[r * m + k] * b.data[form === 'nn' ? k * n + j : j * m + k];
        data[r * n + j] = sum;
      }
    return [{ shape, data }];
  },
  vjp({ inputs: [a, b], attributes, needed }, [d]) {
    if (!d) return [null, null];
    const form = attributes.form as MatmulForm;
    const precision = precisionOf(attributes);
    const forA = {
      nn: () => matmulNT(d, b, precision),
      nt: () => matmul(d, b, precision),
      tn: () => matmulNT(b, d, precision),
    };
    const forB = {
      nn: () => matmulTN(a, d, precision),
      nt: () => matmulTN(d, a, precision),
      tn: () => matmul(a, d, precision),
    };
    return [needed[0] ? forA[form]() : null, needed[1] ? forB[form]() : null];
  },
});

function product(form: MatmulForm, a: Tensor, b: Tensor, precision: Precision): Tensor {
  const isWide = b.shape[form === 'nt' ? 0 : b.rank - 1] !== 1;
  return apply(matmulOperation, [a, b], { form, ...(precision === 'bfloat16' && isWide && { precision }) })[0];
}

/** a[..., K] x b[K, N] -> [..., N]. @param precision as the graph has it where it is not given */
export function matmul(a: Tensor, b: Tensor, precision = a.graph.precision): Tensor {
  return product('nn', a, b, precision);
}

/** a[..., K] x b[N, K] -> [..., N]: the second operand transposed */
export function matmulNT(a: Tensor, b: Tensor, precision = a.graph.precision): Tensor {
  return product('nt', a, b, precision);
}

/** a[R..., M] x b[R..., N] -> [M, N]: the first operand transposed, summed over all leading axes */
export function matmulTN(a: Tensor, b: Tensor, precision = a.graph.precision): Tensor {
  return product('tn', a, b, precision);
}

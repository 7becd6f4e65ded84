/** The numbers that the cases are tried on: drawn from a key, rounded to float32 so that all hosts start from the same ones. */
import { RandomKey } from '../../src/core/random.ts';
import { sizeOf } from '../../src/core/shape.ts';
import type { Dense } from '../../src/ops/op.ts';
import type { Case, CaseInput } from './case.ts';

/** NaN, infinities, signed zeros, halves, the ends of float32 and of what exp can take, a subnormal number. */
const specials = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1,
  -1,
  0.5,
  1.5,
  2.5,
  -0.5,
  -2.5,
  88,
  -88,
  100,
  -100,
  1e30,
  -1e30,
  1e-30,
].map(Math.fround);

function draw({ shape, values = 'normal' }: CaseInput, key: RandomKey): Float64Array {
  const count = sizeOf(shape);
  if (values === 'special') return Float64Array.from({ length: count }, (_, i) => specials[i % specials.length]);
  if (values === 'zeroOne') return Float64Array.from(key.integers(count, 0, 2));
  if (values.startsWith('ids:')) return Float64Array.from(key.integers(count, 0, Number(values.slice(4))));
  const normal = Float64Array.from(key.normal(count));
  return values === 'positive' ? normal.map((x) => Math.fround(Math.abs(x) + 0.1)) : normal;
}

/** One array per input of the case; the same ones for the same seed. */
export function drawInputs(entry: Case, seed = 1): Dense[] {
  const key = RandomKey.from(seed).split(`${entry.op}: ${entry.name}`);
  return entry.inputs.map((input, i) => ({ shape: input.shape, data: draw(input, key.split(i)) }));
}

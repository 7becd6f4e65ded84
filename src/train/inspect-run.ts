/** Runs the step of `inspect-trace.ts`, and reads values and gradients out of its result. */
import { NdArray } from '../core/array.ts';
import { UnrolledError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { CompiledStep, Feed, Result } from '../engine/compile.ts';
import { type Found, type Look, type LookOptions, traceLook } from './inspect-trace.ts';
import type { Session } from './session.ts';

const looks = new WeakMap<CompiledStep, Look>();

/** What was found, and where its values are. */
export interface Looked {
  readonly look: Look;
  readonly result: Result;
}

/** @param key tells steps of other options apart */
export async function runLook(session: Session, key: string, options: LookOptions, feed: Feed): Promise<Looked> {
  let seen: Look | null = null;
  const trace = traceLook(options, (look) => {
    seen = look;
  });
  const step = await session.prepare(`inspect ${key}`, trace);
  if (seen) looks.set(step, seen);
  const look = looks.get(step);
  if (!look) throw new UnrolledError('INTERNAL', 'a step that was traced elsewhere is looked at');
  const [result] = await session.run(step, [feed]);
  return { look, result };
}

/** The values of what was found. */
export function valuesAt({ result }: Looked, { key, shape }: Found): NdArray {
  return NdArray.from(result[key], shape);
}

/** Swaps the first two axes: [T, B, ...] to [B, T, ...]. */
function batchFirst(values: ArrayLike<number>, [batch, length, ...rest]: Shape): Float32Array {
  const size = rest.reduce((a, b) => a * b, 1);
  const turned = new Float32Array(batch * length * size);
  for (let t = 0; t < length; t++)
    for (let b = 0; b < batch; b++)
      for (let k = 0; k < size; k++) turned[(b * length + t) * size + k] = values[(t * batch + b) * size + k];
  return turned;
}

/** The gradient of what was found, in its shape; null: there is none. */
export function gradientAt({ result }: Looked, { gradient, shape, timeFirst }: Found): NdArray | null {
  if (!gradient) return null;
  return NdArray.from(timeFirst ? batchFirst(result[gradient], shape) : result[gradient], shape);
}

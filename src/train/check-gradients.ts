/** Whether the gradients of a cell are those of its step: held against central differences in float64, along random directions. */
import { UnrolledError } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import { compileStep } from '../engine/compile.ts';
import { gradients } from '../engine/gradients.ts';
import { StateSpace } from '../engine/state.ts';
import { type Cell, type CellSizes, cellWeights, stateOf } from '../layers/cell.ts';
import { stateLeaves } from '../layers/cell-state.ts';
import type { LayerCall } from '../layers/layer.ts';
import { rnn } from '../layers/recurrent.ts';
import { add, mul } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { openMachine } from '../vm/open.ts';
import { refuseUnknown } from './model-options.ts';
import { resultOf } from './steps.ts';

export interface CheckGradientsOptions {
  /** Rows. Default 2. */
  readonly batch?: number;
  /** Steps. Default 4. */
  readonly length?: number;
  /** Shape of x for one row at one step. Default [3]. */
  readonly inputShape?: Shape;
  /** Shapes of the cell's further inputs, for one row (at one step). */
  readonly inputShapes?: Readonly<Record<string, Shape>>;
  /** Largest difference, relative to the larger of both. Default 1e-6. */
  readonly tolerance?: number;
  /** Of the values and directions. Default 0. */
  readonly seed?: number;
}

export interface CheckedGradient {
  /** A weight, `x`, a further input, or `state h`. */
  readonly name: string;
  /** The derivative along a random direction, from the gradient. */
  readonly gradient: number;
  /** The same from central differences. */
  readonly difference: number;
}

/** Steps of the differences; their error is of the order of its square. */
const epsilon = 1e-5;

/**
 * Holds the gradients of a cell, for its weights, its inputs and its initial states, against central differences over a masked sequence
 * (Pearlmutter's test along a random direction for each, so that the cost does not grow with the number of weights).
 *
 * @returns what was compared
 * @throws NUMERIC, naming what differs; where the step has corners (relu), another seed may avoid them
 * @example await checkGradients(minimalGatedUnit({ units: 4 }));
 */
export async function checkGradients(cell: Cell, options: CheckGradientsOptions = {}): Promise<CheckedGradient[]> {
  refuseUnknown(options, ['batch', 'length', 'inputShape', 'inputShapes', 'tolerance', 'seed'], 'checkGradients');
  const { batch = 2, length = 4, inputShape = [3], inputShapes = {}, tolerance = 1e-6, seed = 0 } = options;
  const { sequences = [], constants = [] } = cell.definition;
  const layer = rnn({ cell, returnSequences: true, returnState: true });
  const sizes: CellSizes = {
    features: inputShape[inputShape.length - 1],
    inputShape,
    inputShapes,
    path: cell.className,
  };
  const inputs = [
    { name: 'x', shape: [batch, length, ...inputShape] },
    ...sequences.map((name) => ({ name, shape: [batch, length, ...(inputShapes[name] ?? [])] })),
    ...constants.map((name) => ({ name, shape: [batch, ...(inputShapes[name] ?? [])] })),
    ...stateLeaves(stateOf(cell, sizes)).map(({ path, shape }) => ({
      name: `state ${path}`,
      shape: [batch, ...shape],
    })),
  ];
  const weights = cellWeights(cell, sizes, true, cell.className);
  const all = [...weights.map(({ name, shape }) => ({ name, shape: shape as Shape })), ...inputs];

  let key = RandomKey.from(seed);
  const draw = (shape: Shape): Float64Array => {
    key = key.split('draw');
    return Float64Array.from(key.uniform(sizeOf(shape)), (v) => 2 * v - 1);
  };
  const space = new StateSpace(await openMachine({ host: 'oracle' }));
  let count = 0;
  const step = compileStep(space, 'checkGradients', (b) => {
    const tensors = all.map(({ shape }, i) => b.input(`v${i}`, shape));
    const given = tensors.slice(weights.length);
    const mask = b.input('mask', [batch, length]);
    const call: LayerCall = {
      inputs: given,
      masks: given.map((_, i) => (i === 0 ? mask : null)),
      weights: Object.fromEntries(weights.map(({ name }, i) => [name, tensors[i]])),
      training: false,
      random: { uniform: () => fail() },
      path: cell.className,
    };
    const { outputs } = layer.definition.call(layer.config, call);
    count = outputs.length;
    const parts = outputs.map((y, i) => sum(mul(y, b.input(`c${i}`, y.shape))));
    const total = parts.reduce((a, part) => add(a, part));
    const found = gradients([total], [b.constant(1)], tensors);
    return { outputs: { total, ...Object.fromEntries(found.flatMap((g, i) => (g ? [[`g${i}`, g]] : []))) } };
  });
  const feed: Record<string, ArrayLike<number>> = {};
  all.forEach(({ shape }, i) => {
    feed[`v${i}`] = draw(shape);
  });
  const outputs = layer.definition.outputs(
    layer.config,
    inputs.map(({ shape }) => shape),
    cell.className,
  );
  for (let i = 0; i < count; i++) feed[`c${i}`] = draw(outputs[i] as Shape);
  // One masked step in the middle of every second row.
  feed.mask = Float64Array.from({ length: batch * length }, (_, i) => (i % (2 * length) === 1 ? 0 : 1));
  const base = (await step.run([feed]))[0];
  const checked: CheckedGradient[] = [];
  for (const [i, { name, shape }] of all.entries()) {
    const direction = draw(shape);
    const values = feed[`v${i}`];
    const moved = (by: number) => ({ ...feed, [`v${i}`]: direction.map((d, k) => values[k] + by * d) });
    const ends = await step.run([moved(epsilon), moved(-epsilon)]);
    const [up, down] = ends.map((result) => resultOf(result, 'total')[0]);
    const own = base[`g${i}`];
    const gradient = own ? direction.reduce((total, d, k) => total + d * own[k], 0) : 0;
    const difference = (up - down) / (2 * epsilon);
    checked.push({ name, gradient, difference });
    if (!(Math.abs(gradient - difference) <= tolerance * Math.max(1, Math.abs(gradient), Math.abs(difference))))
      throw new UnrolledError(
        'NUMERIC',
        `checkGradients: ${cell.className}: ${name}: expected the slope ${difference} of central differences, received ${gradient} from the gradient. ` +
          'Look for stopGradient and for corners in the step; another seed may avoid a corner.',
      );
  }
  return checked;
}

function fail(): never {
  throw new UnrolledError('INTERNAL', 'checkGradients: a draw without training');
}

/** Gradients of a whole batch at once, for those who drive a model from outside. */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import type { CompiledStep, Feed, FeedValue, Result } from '../engine/compile.ts';
import { outputShapes } from './assembly.ts';
import { type Batch, feedOf, shapesOf, wholeBatch } from './batches.ts';
import { arrayOf, listOf, type Samples } from './data.ts';
import { type Network, shapesFor } from './network.ts';
import { inOrder } from './ordering.ts';
import type { Session } from './session.ts';
import { prepareStates } from './states.ts';
import { feedNames, resultOf, shapesKey, traceLossAndGradients, traceVjp } from './steps.ts';
import type { Trainer } from './trainer.ts';

export interface Gradients {
  /** In the order of `getWeights`; zeros where nothing flows. */
  readonly weightGradients: NdArray[];
  /** One array, or a list in the order of the inputs; null for inputs that are indices. */
  readonly inputGradients: NdArray | null | (NdArray | null)[];
}

export interface DerivativeRun {
  readonly session: Session;
  readonly network: Network;
  /** All of it is one batch. */
  readonly set: Samples;
  /** The key of the draws, where dropout is to draw; null: it does not. */
  readonly key: Int32Array | null;
}

const whole = ({ count }: Samples): Batch => ({ index: 0, from: 0, to: count });

function feedWhole({ set, key }: DerivativeRun): Record<string, FeedValue> {
  const feed = feedOf(set, null, whole(set));
  return key ? { ...feed, [feedNames.key]: key } : feed;
}

function gradientsOf({ network, set }: DerivativeRun, result: Result): Gradients {
  const array = (name: string, shape: Shape) =>
    result[name] ? NdArray.from(result[name], shape) : NdArray.zeros(shape);
  const inputs = network.inputs.map(({ dtype }, i) =>
    dtype === 'i32' ? null : array(`input/${i}`, [set.count, ...set.inputs[i].shape]),
  );
  return {
    weightGradients: network.weights.map(({ path, spec }) => array(`weight/${path}`, spec.shape)),
    inputGradients: inputs.length === 1 ? inputs[0] : inputs,
  };
}

async function runOnce(session: Session, step: CompiledStep, feed: Feed): Promise<Result> {
  const [result] = await session.run(step, [feed]);
  return result;
}

/** Shapes of the outputs for the data at hand. */
function concreteOutputs({ network, set }: DerivativeRun): Shape[] {
  return shapesFor(
    network,
    set.inputs.map(({ shape }) => [set.count, ...shape]),
  ) as Shape[];
}

/** Outputs, and the gradients of sum(outputs * given). */
export async function runVjp(
  run: DerivativeRun,
  outputGradients: unknown,
): Promise<Gradients & { outputs: NdArray[] }> {
  const { session, network, set } = run;
  const shapes = concreteOutputs(run);
  const given = listOf(
    outputGradients,
    outputShapes(network).map(({ name }) => name),
    'vjp: outputGradients',
    'output',
    true,
  ).map((g) => g ?? null);
  const feed = feedWhole(run);
  given.forEach((g, i) => {
    if (g === null) return;
    const where = `vjp: outputGradients${shapes.length > 1 ? `[${i}]` : ''}`;
    const array = arrayOf(g, where);
    if (!sameShape(array.shape, shapes[i])) fail('SHAPE', where, formatShape(shapes[i]), formatShape(array.shape));
    feed[feedNames.cotangent(i)] = array.data;
  });
  const has = given.map((g) => g !== null);
  const batch = { ...shapesOf(set, whole(set)), memory: session.timeMemory };
  const training = run.key !== null;
  prepareStates(session, network, set.count, false);
  const step = await session.prepare(
    `vjp ${shapesKey(batch)} ${has} ${training}`,
    traceVjp(network, has, training, batch),
  );
  const result = await runOnce(session, step, feed);
  const outputs = shapes.map((shape, i) => NdArray.from(resultOf(result, `y${i}`), shape));
  return { outputs, ...gradientsOf(run, result) };
}

/** The loss and its gradients. Rows are ordered as a step of training orders them, so that both compute the same. */
export async function runLossAndGradients(run: DerivativeRun, trainer: Trainer): Promise<Gradients & { loss: number }> {
  const { session, network, set } = run;
  const { shapes, rows, feed } = wholeBatch(set, trainer, trainer.keepsRows);
  const training = run.key !== null;
  const batch = { ...shapes, memory: session.timeMemory };
  const trace = traceLossAndGradients(network, trainer.objective, training, batch);
  const key = `lossAndGradients ${shapesKey(batch)} ${trainer.objectiveKey} ${training}`;
  prepareStates(session, network, set.count, false);
  const step = await session.prepare(key, trace);
  const result = await runOnce(session, step, run.key ? { ...feed(), [feedNames.key]: run.key } : feed());
  if (rows)
    for (const name of Object.keys(result))
      if (name.startsWith('input/')) result[name] = inOrder(result[name], rows, 0);
  return { loss: resultOf(result, 'loss')[0], ...gradientsOf(run, result) };
}

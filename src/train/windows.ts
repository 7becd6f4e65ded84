/**
 * Sequences that are trained on in windows: which networks can be cut so, what goes from window to window, and what of a window counts. The
 * order of the windows is in `truncation.ts`.
 */
import { fail, UnrolledError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { StepBuilder } from '../engine/compile.ts';
import { Graph } from '../ir/graph.ts';
import type { InTime, StepMemory } from '../layers/in-time.ts';
import { oneMinus, select } from '../ops/pointwise.ts';
import { broadcastTo, slice } from '../ops/shape.ts';
import { Tensor } from '../ops/tensor.ts';
import type { Objective } from './compilation.ts';
import { type InTimePlan, inputsInTime, memoriesOf, planInTime } from './in-time.ts';
import { nestedModelOf } from './nested.ts';
import { type Network, statesOf, traceNetwork } from './network.ts';
import type { Session } from './session.ts';

/** A window, as far as its step depends on it. */
export interface WindowShape {
  /** Steps at its end that no window before had: those that count in the loss. */
  readonly fresh: number;
  /** After how many of its steps the next window begins; 0: nothing is kept for one. */
  readonly kept: number;
}

// ---- what can be cut

/** How the parts of a network stand to time. Throws UNSUPPORTED, naming the layer, for one that cannot be trained in windows. */
export function planWindows(network: Network, where: string): InTimePlan {
  const kinds = inputsInTime(network);
  if (!kinds.includes('steps'))
    fail('UNSUPPORTED', where, 'a model whose input is a sequence', 'one without an axis of time');
  const [stateful] = statesOf(network);
  if (stateful)
    fail(
      'UNSUPPORTED',
      `${where}: ${stateful.path}`,
      'layers that start every sequence anew',
      'a stateful one, which would go on from two states',
      'Leave `stateful` out, or cut the sequences by hand and use trainOnBatch.',
    );
  let plan: InTimePlan;
  try {
    plan = planInTime(network, kinds);
  } catch (error) {
    if (!(error instanceof UnrolledError) || error.code !== 'UNSUPPORTED') throw error;
    throw new UnrolledError(
      'UNSUPPORTED',
      `${where}: ${error.message} A window can only be trained on where no step needs a later one; leave tbptt out to train on whole sequences.`,
      { cause: error },
    );
  }
  refuseOthers(network, plan, '', where);
  return plan;
}

/** Layers that remember steps in a way that is made for one step at a time. */
function refuseOthers(network: Network, { memories }: InTimePlan, prefix: string, where: string): void {
  network.calls.forEach(({ layer: at, inputs }, index) => {
    const kinds = memories[index];
    if (!kinds) return;
    const { layer, name } = network.layers[at];
    const path = `${prefix}${name}`;
    const model = nestedModelOf(layer);
    if (model) {
      const [first] = inputs;
      const inner = model.architecture.arrange(network.calls[first.call].shapes[first.output]) as Network;
      return refuseOthers(inner, planInTime(inner, kinds, `${path}/`), `${path}/`, where);
    }
    if (layer.definition.severalSteps ?? layer.definition.recurrence) return;
    fail(
      'UNSUPPORTED',
      `${where}: ${path}`,
      'layers that work on each step alone, recurrent ones and causal convolutions',
      `${layer.className}, which takes one step at a time or all`,
      'Leave tbptt out to train on whole sequences.',
    );
  });
}

/**
 * Throws UNSUPPORTED or SHAPE where outputs with a loss, or their targets, do not follow time.
 *
 * @param kinds how the inputs stand to time
 * @param shapes of the inputs, batch in front
 * @returns the length of the sequences
 */
export function checkWindowed(
  plan: InTimePlan,
  objective: Objective,
  kinds: readonly InTime[],
  shapes: readonly Shape[],
  where: string,
): number {
  const lengths = shapes.filter((_, i) => kinds[i] === 'steps').map((shape) => shape[1]);
  const [length] = lengths;
  if (lengths.some((own) => own !== length))
    fail('SHAPE', where, 'sequences of one length in all inputs', lengths.join(' and '));
  if (length === 0) fail('DATA', where, 'sequences of at least one step', 'none');
  for (const { output, loss, target, entries } of objective.outputs) {
    const place = plan.outputs.length > 1 ? `${where}: output ${output}` : where;
    if (plan.outputs[output] !== 'steps')
      fail(
        'UNSUPPORTED',
        place,
        'an output that follows time, (B, T, ...)',
        'one of a whole sequence',
        'Give the last recurrent layer `returnSequences: true`, or leave tbptt out.',
      );
    const { classAxis = -1, wholeSequences } = loss;
    if (wholeSequences || (classAxis !== -1 && classAxis !== entries.length + 1))
      fail('UNSUPPORTED', place, 'a loss that is a sum over steps', `${loss.className}, which takes whole sequences`);
    if (target[0] !== length || entries[0] !== length)
      fail('SHAPE', place, `a target for each of the ${length} steps`, `targets of (${['B', ...target].join(', ')})`);
  }
  return length;
}

/** The objective for the new steps of a window. */
export function windowObjective(objective: Objective, { fresh }: WindowShape): Objective {
  return {
    ...objective,
    outputs: objective.outputs.map((own) => ({
      ...own,
      target: [fresh, ...own.target.slice(1)],
      entries: [fresh, ...own.entries.slice(1)],
    })),
  };
}

/** The new steps of a value that follows time. */
export function freshSteps(x: Tensor, { fresh }: WindowShape): Tensor {
  const [batch, length, ...rest] = x.shape;
  return fresh === length ? x : slice(x, [0, length - fresh, ...rest.map(() => 0)], [batch, fresh, ...rest]);
}

// ---- states between windows

const prefix = 'window/';
const leafOf = (path: string, rows: number) => `${prefix}${path}@${rows}`;

/** Makes room for the states between windows that were saved. */
export function placeWindows(session: Session, values: ReadonlyMap<string, { readonly shape: Shape }>): void {
  for (const [name, { shape }] of values)
    if (name.startsWith(prefix) && !session.has(name)) session.declare(name, shape);
}

/** Whether a value of a session is a state between windows that was not saved: it belongs to another run. */
export function isOtherWindow(name: string, values: ReadonlyMap<string, unknown>): boolean {
  return name.startsWith(prefix) && !values.has(name);
}

/** What a step is told of the windows before it, and what it keeps, by leaf. */
export function windowMemory(
  b: StepBuilder,
  /** 1 where the sequences begin with this window, else 0. */
  begins: Tensor,
  network: Network,
  plan: InTimePlan,
  rows: number,
  window: WindowShape,
) {
  const kept: Record<string, Tensor> = {};
  const memory: Omit<StepMemory, 'inputs'> = {
    after: window.kept,
    recall: (path) => {
      const before = b.state(leafOf(path, rows));
      return select(begins, broadcastTo(b.constant(0), before.shape), before);
    },
    keep(path, value) {
      if (window.kept > 0) kept[leafOf(path, rows)] = value;
    },
    position: () => broadcastTo(oneMinus(begins), [rows]),
  };
  return { memoryOf: memoriesOf(network, plan, memory), kept: () => kept };
}

/** Inputs of a window, batch in front, and which of them come with a mask. */
interface WindowInputs {
  readonly inputs: readonly Shape[];
  readonly masks: readonly boolean[];
}

/** Makes room for the states of a batch; false where it is not there and may not be made now. */
export function prepareWindows(
  session: Session,
  network: Network,
  plan: InTimePlan,
  shapes: WindowInputs,
  mayDeclare: boolean,
): boolean {
  const [rows] = shapes.inputs[0];
  const missing = rememberedBy(network, plan, shapes).filter(([path]) => !session.has(leafOf(path, rows)));
  if (!missing.length) return true;
  if (!mayDeclare) return false;
  for (const [path, shape] of missing) session.declare(leafOf(path, rows), [rows, ...shape]);
  return true;
}

/** What the layers remember, by path, with the shape of one row: found by a trace that is thrown away. */
function rememberedBy(network: Network, plan: InTimePlan, shapes: WindowInputs): [path: string, shape: Shape][] {
  const graph = new Graph('windows');
  const value = (name: string, shape: Shape, dtype: 'f32' | 'i32' = 'f32') =>
    new Tensor(graph, graph.input(name, { dtype, shape }));
  const found = new Map<string, Shape>();
  const [rows] = shapes.inputs[0];
  const memory: Omit<StepMemory, 'inputs'> = {
    after: 0,
    recall(path, shape) {
      found.set(path, shape);
      return value(path, [rows, ...shape]);
    },
    keep: () => undefined,
    position: () => value('position', [rows]),
  };
  traceNetwork(
    network,
    network.inputs.map(({ dtype, name }, i) => value(name, shapes.inputs[i], dtype)),
    shapes.inputs.map((shape, i) => (shapes.masks[i] ? value('mask', shape.slice(0, 2)) : null)),
    (path) => value(path, (network.weights.find((w) => w.path === path) as Network['weights'][number]).spec.shape),
    {
      training: false,
      random: () => ({ uniform: (shape) => value('draw', shape) }),
      memoryOf: memoriesOf(network, plan, memory),
    },
  );
  return [...found];
}

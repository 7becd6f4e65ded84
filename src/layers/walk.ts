/**
 * A cell over the sequences of a batch: one `scan` whose body is the cell's step. Masks, dropout, zoneout and initial states are handled
 * here, once for all cells.
 *
 * A masked step carries the state unchanged and repeats the carried output (zero with `zeroOutputForMask`); leading masked steps
 * output the initial state. A mask is never dropped, also not with an initial state, and a row may be masked whole.
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import { rangeOf } from '../ops/op.ts';
import { add, equal, less, mul, select } from '../ops/pointwise.ts';
import { probe } from '../ops/probe.ts';
import { scan } from '../ops/scan.ts';
import { reshape, slice, transpose, zeros } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import {
  type Cell,
  type CellDropout,
  type CellSizes,
  outputOf,
  partSizes,
  type SequenceFlags,
  stateOf,
} from './cell.ts';
import { buildState, checkStep, stateLeaves } from './cell-state.ts';
import { dropoutMask } from './dropout-mask.ts';
import type { StepMemory } from './in-time.ts';
import type { LayerRandom } from './layer.ts';
import { observerOf } from './observer.ts';

export interface Recurrence extends SequenceFlags {
  readonly cell: Cell;
  /** [B, T, ...features] */
  readonly x: Tensor;
  /** The further sequences, then the constants of the cell. */
  readonly further: readonly Tensor[];
  /** [B, T], 0 or 1, or null. */
  readonly mask: Tensor | null;
  readonly weights: Readonly<Record<string, Tensor>>;
  /** Initial states in the cell's order; null: zeros. */
  readonly initial: readonly Tensor[] | null;
  readonly training: boolean;
  readonly random: LayerRandom;
  /** Where the sequence comes one step at a time: what was kept of the steps before. */
  readonly memory?: StepMemory | undefined;
  readonly path: string;
}

export interface Walk {
  /** [B, T, ...output], step t at index t in both directions; null without returnSequences. */
  readonly sequence: Tensor | null;
  /** [B, ...output] after the last step walked. */
  readonly last: Tensor;
  /** [B, ...] each. */
  readonly states: readonly Tensor[];
}

/** Swaps the first two axes. */
function swapTime(x: Tensor): Tensor {
  return transpose(x, [1, 0, ...x.shape.map((_, i) => i).slice(2)]);
}

/** A mask of one step, [B], beside a state, [B, ...]. */
function beside(mask: Tensor, x: Tensor): Tensor {
  return reshape(mask, [x.shape[0], ...new Array<number>(x.rank - 1).fill(1)]);
}

/** One step of what a loop stacked. */
function stepOf(stack: Tensor, t: number): Tensor {
  const [, ...rest] = stack.shape;
  return reshape(slice(stack, [t, ...rest.map(() => 0)], [1, ...rest]), rest);
}

/** A state where the sequence comes one step at a time: what the step before kept, the given start in a row's first step. */
function recalled(memory: StepMemory, name: string, shape: Shape, given: Tensor | undefined): Tensor {
  const kept = memory.recall(name, shape);
  return given ? select(beside(equal(memory.position(), 0), kept), given, kept) : kept;
}

type Pick = (now: readonly Tensor[], outside: readonly Tensor[]) => CellDropout;

/**
 * Draws what a cell and those within it need for a whole sequence; the result finds it again inside of the loop.
 *
 * @param sequences receives what differs from step to step
 * @param constants receives what is the same at every step
 */
function drawFor(
  { training, random, x }: Recurrence,
  cell: Cell,
  sizes: CellSizes,
  outerInput: readonly Tensor[] | null,
  sequences: Tensor[],
  constants: Tensor[],
): Pick {
  const [batch, length] = x.shape;
  const { definition, config } = cell;
  const leaves = stateLeaves(stateOf(cell, sizes));
  const seed = (config.seed as number | null | undefined) ?? null;
  const place = (list: Tensor[], value: Tensor) => list.push(value) - 1;
  const masks = (rate: unknown, shape: Shape): number[] | null => {
    if (!training || typeof rate !== 'number' || rate <= 0) return null;
    const count = definition.dropoutMasks?.(config) ?? 1;
    return Array.from({ length: count }, () => place(constants, dropoutMask(random, [batch, ...shape], rate, seed)));
  };
  const inputs = outerInput ? null : masks(config.dropout, sizes.inputShape);
  const recurrent = masks(config.recurrentDropout, leaves[0].shape);
  const rates = training ? (definition.zoneout?.(config) ?? []) : [];
  const zoneout = rates.map((rate, i) => {
    if (!rate) return null;
    const shape = [length, batch, ...leaves[i].shape];
    return place(sequences, less(random.uniform(shape, seed), rate));
  });
  const parts = definition.parts?.(config) ?? [];
  const within = partSizes(parts, sizes).map((own, i) =>
    drawFor({ training, random, x } as Recurrence, parts[i], own, null, sequences, constants),
  );
  return (now, outside) => ({
    inputs: inputs?.map((at) => outside[at]) ?? null,
    recurrent: recurrent?.map((at) => outside[at]) ?? null,
    zoneout: zoneout.length ? zoneout.map((at) => (at === null ? null : now[at])) : null,
    parts: within.map((pick) => pick(now, outside)),
  });
}

/** The mask of all inputs in one draw for the first cell, where it has one for all gates: it is taken out of the loop. */
function maskedInput({ cell, training, random, x }: Recurrence, features: Shape): Tensor | null {
  const { definition, config } = cell;
  const rate = config.dropout;
  if (!training || typeof rate !== 'number' || rate <= 0 || (definition.dropoutMasks?.(config) ?? 1) !== 1) return null;
  return dropoutMask(random, [x.shape[0], ...features], rate, (config.seed as number | null | undefined) ?? null);
}

/** What a cell is told about the tensors of a walk. */
function sizesOf({ cell: { definition }, x, further, path }: Recurrence): CellSizes {
  const { sequences = [], constants = [] } = definition;
  const shapes = [...sequences, ...constants].map((name, i): [string, Shape] => [
    name,
    further[i].shape.slice(i < sequences.length ? 2 : 1),
  ]);
  const inputShape = x.shape.slice(2);
  return { features: x.shape[x.rank - 1], inputShape, inputShapes: Object.fromEntries(shapes), path };
}

/** Runs a cell over the sequences of a batch. */
export function walkSequence(recurrence: Recurrence): Walk {
  const { cell, x, further, mask, memory, path } = recurrence;
  const { definition, config } = cell;
  const [batch, length, ...features] = x.shape;
  const sizes = sizesOf(recurrence);
  const tree = stateOf(cell, sizes);
  const output = outputOf(cell, sizes);
  const leaves = stateLeaves(tree);
  const init = leaves.map(({ path: name, shape }, i) => {
    const want = [batch, ...shape];
    const given = recurrence.initial?.[i];
    if (given && !sameShape(given.shape, want))
      fail('SHAPE', `${path}: initial state ${name}`, formatShape(want), formatShape(given.shape));
    if (memory) return recalled(memory, name, shape, given);
    return given ?? zeros(x.graph, want);
  });

  const { sequences: sequenceNames = [], constants: constantNames = [] } = definition;
  const inputMask = maskedInput(recurrence, features);
  const sequence = inputMask ? mul(swapTime(x), inputMask) : swapTime(x);
  // In the loop: x, the further sequences, what is drawn for every step, and the mask at the end.
  const sequences = [sequence, ...further.slice(0, sequenceNames.length).map(swapTime)];
  const prepared = definition.prepare?.(recurrence.weights, config) ?? recurrence.weights;
  const names = Object.keys(prepared);
  const constants = [...names.map((name) => prepared[name]), ...further.slice(sequenceNames.length)];
  const dropout = drawFor(recurrence, cell, sizes, inputMask && [inputMask], sequences, constants);
  // Where somebody looks: zeros to be added to the states of every step.
  const observer = observerOf(x.graph);
  const nudges = observer?.nudges ? leaves.map(({ shape }) => zeros(x.graph, [length, batch, ...shape])) : null;
  const nudgesAt = sequences.length;
  sequences.push(...(nudges ?? []));
  if (mask) sequences.push(swapTime(mask));
  let gates: readonly [name: string, gate: Tensor][] = [];
  let ranges: readonly ReturnType<typeof rangeOf>[] = [];

  const named = (list: readonly string[], tensors: readonly Tensor[], from: number) =>
    list.map((name, i): [string, Tensor] => [name, tensors[from + i]]);
  const step = (carry: readonly Tensor[], now: readonly Tensor[], outside: readonly Tensor[]) => {
    const result = definition.step({
      x: now[0],
      inputs: Object.fromEntries([...named(sequenceNames, now, 1), ...named(constantNames, outside, names.length)]),
      state: buildState(tree, carry) as never,
      weights: Object.fromEntries(named(names, outside, 0)),
      config,
      dropout: dropout(now, outside),
    });
    return checkStep(result, tree, output, batch, `${path}: step of ${cell.className}`);
  };

  // Where the output is one of the new states, as in most cells, the carried output is that state; else it is a carry of its own.
  const outputState = probe(
    [...sequences, ...init, ...constants],
    (i) => (i < sequences.length ? 1 : 0),
    (all) => {
      const [now, rest] = [all.slice(0, sequences.length), all.slice(sequences.length)];
      const result = step(rest.slice(0, init.length), now, rest.slice(init.length));
      return result.next.indexOf(result.output);
    },
  );
  const ownOutput = outputState < 0;
  // Kept is the state after the last step, or one that is stacked on the way.
  const { after = length } = memory ?? {};
  const before = () => memory?.recall('output', output) ?? zeros(x.graph, [batch, ...output]);
  const carries = ownOutput ? [...init, before()] : init;
  const walked = scan(
    { init: carries, sequences, constants, length, reverse: recurrence.goBackwards },
    (carry, now, outside) => {
      const valid = mask ? now[now.length - 1] : null;
      const result = step(carry.slice(0, init.length), now, outside);
      const next = nudges ? result.next.map((value, i) => add(value, now[nudgesAt + i])) : result.next;
      const output = ownOutput ? result.output : next[outputState];
      const all = ownOutput ? [...next, output] : next;
      const kept = valid ? all.map((value, i) => select(beside(valid, value), value, carry[i])) : all;
      const carried = ownOutput ? kept[kept.length - 1] : kept[outputState];
      const zeroed = valid && recurrence.zeroOutputForMask;
      const out = zeroed ? select(beside(valid, output), output, 0) : carried;
      if (observer) {
        gates = Object.entries(result.gates);
        ranges = result.next.map(rangeOf);
      }
      const seen = observer ? [...kept.slice(0, leaves.length), ...gates.map(([, gate]) => gate)] : [];
      const steps = recurrence.returnSequences ? [out] : [];
      return { carry: kept, outputs: [...steps, ...(after < length ? kept : []), ...seen] };
    },
  );
  if (observer) {
    const stacks = walked.outputs.slice(walked.outputs.length - leaves.length - gates.length).map(swapTime);
    observer.walk({
      path,
      className: cell.className,
      goBackwards: recurrence.goBackwards,
      mask,
      states: leaves.map(({ path: name }, i) => ({ name, values: stacks[i], range: ranges[i] })),
      gates: gates.map(([name, gate], i) => ({ name, values: stacks[leaves.length + i], range: rangeOf(gate) })),
      nudges,
    });
  }
  const states = walked.carry.slice(0, leaves.length);
  walked.carry.forEach((value, i) => {
    const stack = walked.outputs[i + (recurrence.returnSequences ? 1 : 0)];
    if (after > 0) memory?.keep(leaves[i]?.path ?? 'output', after < length ? stepOf(stack, after - 1) : value);
  });
  let last = ownOutput ? walked.carry[leaves.length] : states[outputState];
  if (mask && recurrence.zeroOutputForMask && length > 0) {
    const lastStep = slice(mask, [0, recurrence.goBackwards ? 0 : length - 1], [batch, 1]);
    last = select(beside(lastStep, last), last, 0);
  }
  return { sequence: recurrence.returnSequences ? swapTime(walked.outputs[0]) : null, last, states };
}

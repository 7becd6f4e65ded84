/**
 * From a cell to a layer over time: one `scan` whose body is the cell's step. Direction, masks, dropout and states are handled here, once
 * for all cells.
 *
 * A masked step carries the state unchanged and repeats the carried output (zero with `zeroOutputForMask`); leading masked steps
 * output the initial state. A mask is never dropped, also not with an initial state, and a row may be masked whole.
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import { lessEqual, mul, select } from '../ops/pointwise.ts';
import { probe } from '../ops/probe.ts';
import { scan } from '../ops/scan.ts';
import { reshape, reverse, slice, transpose, zeros } from '../ops/shape.ts';
import { Tensor } from '../ops/tensor.ts';
import { type Cell, type CellFactory, cellWeights, isCell, type SequenceFlags } from './cell.ts';
import { gruCell } from './cells/gru.ts';
import { lstmCell } from './cells/lstm.ts';
import { simpleRNNCell } from './cells/simple-rnn.ts';
import { defineLayer, type LayerCall, type LayerRandom, type LayerResult, type OpenShape } from './layer.ts';
import { absent, flag, type Option, type OptionTable, only, optionsToKeras, showValue } from './options.ts';

/** Options of every layer over time, in Keras's order. */
export const sequenceOptions = {
  /** Return the output of every step, (B, T, U), instead of the last one, (B, U). Default false. */
  returnSequences: flag(false),
  /** Return the final states after the output: LSTM (y, h, c); GRU, SimpleRNN (y, h). Default false. */
  returnState: flag(false),
  /** Walk from the last step to the first; returned sequences are in the order of the walk. Default false. */
  goBackwards: flag(false),
  /** Keep the state between batches: not supported yet. */
  stateful: only(
    false,
    'Stateful layers are not supported by this version: hand states over with returnState and an initial state.',
  ),
  /** Masked steps of a returned sequence are zero instead of the carried output. Default false. */
  zeroOutputForMask: flag(false),
} as const;

const activityRegularizer = { activityRegularizer: absent('Regularisers') };

export interface Recurrence extends SequenceFlags {
  readonly cell: Cell;
  /** [B, T, ...features] */
  readonly x: Tensor;
  /** [B, T], 0 or 1, or null. */
  readonly mask: Tensor | null;
  readonly weights: Readonly<Record<string, Tensor>>;
  /** Initial states in the cell's order; null: zeros. */
  readonly initial: readonly Tensor[] | null;
  readonly training: boolean;
  readonly random: LayerRandom;
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

/** Inverted dropout: 0 or 1 / (1 - rate). */
export function dropoutMask(random: LayerRandom, shape: Shape, rate: number, seed: number | null): Tensor {
  return mul(lessEqual(rate, random.uniform(shape, seed)), 1 / (1 - rate));
}

/** Swaps the first two axes. */
function swapTime(x: Tensor): Tensor {
  return transpose(x, [1, 0, ...x.shape.map((_, i) => i).slice(2)]);
}

/** A mask of one step, [B], beside a state, [B, ...]. */
function beside(mask: Tensor, x: Tensor): Tensor {
  return reshape(mask, [x.shape[0], ...new Array<number>(x.rank - 1).fill(1)]);
}

/** Runs a cell over the sequences of a batch. */
export function walkSequence(recurrence: Recurrence): Walk {
  const { cell, x, mask, training, random, path } = recurrence;
  const { definition, config } = cell;
  const [batch, length, ...features] = x.shape;
  const declared = Object.entries(definition.state(config) as Record<string, Shape>);
  const init = declared.map(([name, shape], i) => {
    const want = [batch, ...shape];
    const given = recurrence.initial?.[i];
    if (!given) return zeros(x.graph, want);
    if (given.shape.length !== want.length || given.shape.some((d, k) => d !== want[k]))
      fail('SHAPE', `${path}: initial state ${name}`, formatShape(want), formatShape(given.shape));
    return given;
  });

  const drop = (rate: unknown, shape: Shape): Tensor[] | null => {
    if (!training || typeof rate !== 'number' || rate <= 0) return null;
    const count = definition.dropoutMasks?.(config) ?? 1;
    const seed = (config.seed as number | null | undefined) ?? null;
    return Array.from({ length: count }, () => dropoutMask(random, shape, rate, seed));
  };
  let inputMasks = drop(config.dropout, [batch, ...features]);
  const stateMasks = drop(config.recurrentDropout, init[0].shape);

  let sequence = swapTime(x);
  if (inputMasks?.length === 1) {
    // One mask for all gates and steps: taken out of the loop.
    sequence = mul(sequence, inputMasks[0]);
    inputMasks = null;
  }
  const sequences = mask ? [sequence, swapTime(mask)] : [sequence];
  const prepared = definition.prepare?.(recurrence.weights, config) ?? recurrence.weights;
  const names = Object.keys(prepared);
  const constants = [...names.map((name) => prepared[name]), ...(inputMasks ?? []), ...(stateMasks ?? [])];

  const step = (carry: readonly Tensor[], now: Tensor, outside: readonly Tensor[]) => {
    const result = definition.step({
      x: now,
      state: Object.fromEntries(declared.map(([name], i) => [name, carry[i]])),
      weights: Object.fromEntries(names.map((name, i) => [name, outside[i]])),
      config,
      dropout: {
        inputs: inputMasks && outside.slice(names.length, names.length + inputMasks.length),
        recurrent: stateMasks && outside.slice(outside.length - stateMasks.length),
      },
    });
    return checkStep(result, cell, declared, batch, path);
  };

  // Where the output is one of the new states, as in all built-in cells, the carried output is that state; else it is a carry of its own.
  const outputState = probe(
    [sequence, ...init, ...constants],
    (i) => (i === 0 ? 1 : 0),
    ([now, ...rest]) => {
      const { next, output } = step(rest.slice(0, init.length), now, rest.slice(init.length));
      return next.indexOf(output);
    },
  );
  const ownOutput = outputState < 0;
  const carries = ownOutput ? [...init, zeros(x.graph, [batch, ...outputSize(cell)])] : init;
  const walked = scan(
    { init: carries, sequences, constants, length, reverse: recurrence.goBackwards },
    (carry, [now, valid], outside) => {
      const { next, output } = step(carry, now, outside);
      const all = ownOutput ? [...next, output] : next;
      const kept = valid ? all.map((value, i) => select(beside(valid, value), value, carry[i])) : all;
      const carried = ownOutput ? kept[kept.length - 1] : kept[outputState];
      const out = valid && recurrence.zeroOutputForMask ? select(beside(valid, output), output, 0) : carried;
      return { carry: kept, outputs: recurrence.returnSequences ? [out] : [] };
    },
  );
  const states = walked.carry.slice(0, declared.length);
  let last = ownOutput ? walked.carry[declared.length] : states[outputState];
  if (mask && recurrence.zeroOutputForMask && length > 0) {
    const lastStep = slice(mask, [0, recurrence.goBackwards ? 0 : length - 1], [batch, 1]);
    last = select(beside(lastStep, last), last, 0);
  }
  return { sequence: recurrence.returnSequences ? swapTime(walked.outputs[0]) : null, last, states };
}

/** Holds what a step returned against what its cell declares. */
function checkStep(
  result: { readonly output: Tensor; readonly state: Readonly<Record<string, Tensor>> },
  cell: Cell,
  declared: readonly (readonly [string, Shape])[],
  batch: number,
  path: string,
): { next: Tensor[]; output: Tensor } {
  const where = `${path}: step of ${cell.className}`;
  const names = declared.map(([name]) => name);
  const received = Object.keys(result?.state ?? {});
  if (
    !(result?.output instanceof Tensor) ||
    received.length !== names.length ||
    names.some((name) => !received.includes(name))
  )
    fail(
      'ARGUMENT',
      where,
      `{ output, state: { ${names.join(', ')} } }`,
      `${result?.output instanceof Tensor ? '' : 'no output and '}state { ${received.join(', ')} }`,
    );
  const check = (what: string, value: Tensor, shape: Shape) => {
    if (!sameShape(value.shape, [batch, ...shape]))
      fail('SHAPE', where, `${what} ${formatShape([batch, ...shape])}`, formatShape(value.shape));
    return value;
  };
  check('an output', result.output, outputSize(cell));
  return {
    next: declared.map(([name, shape]) => check(`state ${name}`, result.state[name], shape)),
    output: result.output,
  };
}

/** The checks of inputs over time, in one place. */
export function checkSequence(
  inputs: readonly OpenShape[],
  cell: Cell,
  path: string,
): { batch: number | null; length: number | null; features: number } {
  const [x, ...states] = inputs;
  const features = x?.[x.length - 1];
  if (!x || x.length < 3)
    fail(
      'SHAPE',
      path,
      'an input of three axes, (batch, time, features)',
      x ? formatShape(x) : 'none',
      x?.length === 2
        ? 'Put an embedding before it, or give every step its features: shape (time, 1) for single numbers.'
        : undefined,
    );
  if (typeof features !== 'number')
    fail('SHAPE', path, 'a known number of features', formatShape(x), 'Give the last axis of the input a size.');
  const count = Object.keys(cell.definition.state(cell.config)).length;
  if (states.length !== 0 && states.length !== count)
    fail('SHAPE', path, `the sequence alone, or with ${count} initial states`, `${inputs.length} inputs`);
  return { batch: x[0], length: x[1], features };
}

/** Shapes of what a layer over time returns. */
export function sequenceShapes(
  cell: Cell,
  flags: SequenceFlags,
  inputs: readonly OpenShape[],
  path: string,
): OpenShape[] {
  const { batch, length } = checkSequence(inputs, cell, path);
  const states = Object.values(cell.definition.state(cell.config) as Record<string, Shape>);
  const output = outputSize(cell);
  const y = flags.returnSequences ? [batch, length, ...output] : [batch, ...output];
  return flags.returnState ? [y, ...states.map((shape) => [batch, ...shape])] : [y];
}

function outputSize(cell: Cell): Shape {
  return cell.definition.output?.(cell.config) ?? (Object.values(cell.definition.state(cell.config)) as Shape[])[0];
}

function callSequence(cell: Cell, flags: SequenceFlags, call: LayerCall): LayerResult {
  const [x, ...initial] = call.inputs;
  const mask = call.masks[0];
  const walk = walkSequence({
    ...flags,
    cell,
    x,
    mask,
    weights: call.weights,
    initial: initial.length ? initial : null,
    training: call.training,
    random: call.random,
    path: call.path,
  });
  const turn = flags.goBackwards;
  const y = walk.sequence ? (turn ? reverse(walk.sequence, 1) : walk.sequence) : walk.last;
  const yMask = walk.sequence && mask ? (turn ? reverse(mask, 1) : mask) : null;
  if (!flags.returnState) return { outputs: [y], masks: [yMask] };
  return { outputs: [y, ...walk.states], masks: [yMask, ...walk.states.map(() => null)] };
}

/** A layer class whose options are those of one cell, as Keras has them. */
function layerOfCell<const T extends OptionTable>(className: string, cell: CellFactory<T>) {
  const cellOf = (config: Readonly<Record<string, unknown>>): Cell => ({
    definition: cell.definition as never,
    className: cell.definition.name,
    config,
  });
  return defineLayer({
    className,
    options: { ...sequenceOptions, ...cell.definition.options, ...activityRegularizer },
    weights: (config, inputs, path) => {
      const own = cellOf(config as never);
      return cellWeights(own, checkSequence(inputs, own, path).features, true, path);
    },
    outputs: (config, inputs, path) =>
      sequenceShapes(cellOf(config as never), config as unknown as SequenceFlags, inputs, path),
    recurrence: (config) => ({ cell: cellOf(config as never), flags: config as unknown as SequenceFlags }),
    call: (config, call) => callSequence(cellOf(config as never), config as unknown as SequenceFlags, call),
  });
}

/**
 * The fully connected recurrent layer: h = tanh(x W + h U + b). (B, T, F) to (B, U), or (B, T, U) with `returnSequences`.
 * Parameters: U (F + U + 1).
 *
 * @example layers.simpleRNN({ units: 32 })
 */
export const simpleRNN = layerOfCell('SimpleRNN', simpleRNNCell);

/**
 * Long short-term memory. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: 4 U (F + U + 1).
 *
 * @example layers.lstm({ units: 32, returnSequences: true })
 */
export const lstm = layerOfCell('LSTM', lstmCell);

/**
 * The gated recurrent unit. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: 3 U (F + U + 2), or 3 U (F + U + 1)
 * with `resetAfter: false`.
 *
 * @example layers.gru({ units: 32 })
 */
export const gru = layerOfCell('GRU', gruCell);

const cellOption = (): Option<Cell, Cell, true> => ({
  required: true,
  fallback: undefined,
  expected: 'a cell, such as `layers.lstmCell({ units: 8 })` or one of `defineCell`',
  parse(value, where) {
    if (!isCell(value)) fail('ARGUMENT', where, this.expected, showValue(value));
    return value;
  },
  toKeras: (cell, where) => ({
    module: 'keras.layers',
    class_name: cell.className,
    config: {
      name: null,
      trainable: true,
      dtype: 'float32',
      ...optionsToKeras(cell.definition.options, cell.config, where),
    },
    registered_name: null,
  }),
  fromKeras: (json, reading, where) => reading.cell(json, where),
});

/**
 * A layer over time of any cell: `layers.rnn({ cell: minimalGatedUnit({ units: 8 }) })`. (B, T, F) to the cell's output.
 */
export const rnn = defineLayer({
  className: 'RNN',
  options: {
    ...sequenceOptions,
    /** The step: a built-in cell, or one of `defineCell`. */
    cell: cellOption(),
    ...activityRegularizer,
  },
  weights: ({ cell }, inputs, path) => cellWeights(cell, checkSequence(inputs, cell, path).features, true, path),
  outputs: (config, inputs, path) => sequenceShapes(config.cell, config, inputs, path),
  recurrence: (config) => ({ cell: config.cell, flags: config }),
  call: (config, call) => callSequence(config.cell, config, call),
});

/**
 * From a cell to a layer over time. Direction, states that are given, returned or kept, and the layers of the built-in cells are here; the
 * loop itself is in `walk.ts`.
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape } from '../core/shape.ts';
import { reverse } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import {
  type Cell,
  type CellFactory,
  type CellSizes,
  cellWeights,
  outputOf,
  type SequenceFlags,
  stateOf,
} from './cell.ts';
import { cellOption } from './cell-option.ts';
import { type StateTree, stateLeaves } from './cell-state.ts';
import { convLstm1dCell, convLstm2dCell, convLstm3dCell } from './cells/conv-lstm.ts';
import { gruCell } from './cells/gru.ts';
import { indRNNCell } from './cells/ind-rnn.ts';
import { lstmCell } from './cells/lstm.ts';
import { minimalGatedUnitCell } from './cells/minimal-gated-unit.ts';
import { simpleRNNCell } from './cells/simple-rnn.ts';
import type { InTime, InTimeCall } from './in-time.ts';
import { type CarriedState, defineLayer, type LayerCall, type LayerResult, type OpenShape } from './layer.ts';
import { bothMasks } from './mask.ts';
import { flag, type OptionTable } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { type Walk, walkSequence } from './walk.ts';

/** Options of every layer over time, in Keras's order. */
export const sequenceOptions = {
  /** Return the output of every step, (B, T, U), instead of the last one, (B, U). Default false. */
  returnSequences: flag(false),
  /** Return the final states after the output: LSTM (y, h, c); GRU, SimpleRNN (y, h). Default false. */
  returnState: flag(false),
  /** Walk from the last step to the first; returned sequences are in the order of the walk. Default false. */
  goBackwards: flag(false),
  /**
   * Start a batch with the states that the one before left, row by row. The first batch sets the number of rows; another number is refused
   * until `model.resetStates()`. The states are saved with the model. Default false.
   */
  stateful: flag(false),
  /** Masked steps of a returned sequence are zero instead of the carried output. Default false. */
  zeroOutputForMask: flag(false),
} as const;

const activityRegularizer = {
  /** Of all that the layer returns, divided by the batch size. Default none. */
  activityRegularizer: regularizerOption(),
};

interface Sequence {
  readonly batch: number | null;
  readonly length: number | null;
  readonly sizes: CellSizes;
  /** How many of the inputs come before the initial states. */
  readonly count: number;
}

/** How many axes x has for one row at one step; of cells over each other, the first one says it. */
function axesOfStep({ definition, config }: Cell): number | undefined {
  const first = definition.parts?.(config as never)[0];
  return definition.axes ?? (first && axesOfStep(first));
}

/** The checks of inputs over time, in one place: x, the cell's further sequences and constants, then initial states or none. */
export function checkSequence(inputs: readonly OpenShape[], cell: Cell, path: string): Sequence {
  const [x] = inputs;
  const { sequences = [], constants = [] } = cell.definition;
  const axes = axesOfStep(cell);
  if (!x || x.length < 3 || (axes !== undefined && x.length !== axes + 2))
    fail(
      'SHAPE',
      path,
      axes && axes > 1
        ? `an input of ${axes + 2} axes, (batch, time, ..., channels)`
        : 'an input of three axes, (batch, time, features)',
      x ? formatShape(x) : 'none',
      x?.length === 2
        ? 'Put an embedding before it, or give every step its features: shape (time, 1) for single numbers.'
        : axes === 1 && x && x.length > 3
          ? 'Put it into `layers.timeDistributed` to walk the last axis but one, reshape the axes of a step into one, or use a convLstm.'
          : undefined,
    );
  const known = (shape: OpenShape): Shape => {
    if (!shape.every((d) => d !== null))
      fail('SHAPE', path, `a known number of features`, formatShape(x), 'Give the last axis of the input a size.');
    return shape as Shape;
  };
  const inputShape = known(x.slice(2));
  const further = [...sequences, ...constants];
  const count = 1 + further.length;
  const shapes = further.map((name, i): [string, Shape] => {
    const isSequence = i < sequences.length;
    const shape = inputs[i + 1];
    if (!shape || shape.length < (isSequence ? 2 : 1))
      fail(
        'SHAPE',
        path,
        `the inputs (x, ${further.join(', ')})${shape ? `, ${name} with (batch${isSequence ? ', time' : ''}) in front` : ''}`,
        shape ? `${name} ${formatShape(shape)}` : `${inputs.length} inputs`,
      );
    if (isSequence && shape[1] !== null && x[1] !== null && shape[1] !== x[1])
      fail('SHAPE', path, `${name} of ${x[1]} steps, as x`, formatShape(shape));
    return [name, known(shape.slice(isSequence ? 2 : 1))];
  });
  const sizes = {
    features: inputShape[inputShape.length - 1],
    inputShape,
    inputShapes: Object.fromEntries(shapes),
    path,
  };
  const states = stateLeaves(stateOf(cell, sizes));
  const given = inputs.slice(count);
  if (given.length !== 0 && given.length !== states.length)
    fail(
      'SHAPE',
      path,
      `the sequence alone, or with ${states.length} initial states, ${states.map((s) => `${s.path} ${formatShape([null, ...s.shape])}`).join(' and ')}`,
      `${inputs.length} inputs, ${inputs.map(formatShape).join(' and ')}`,
      'States stand in the order in which returnState gives them: initialState: [h, c] for an LSTM.',
    );
  given.forEach((shape, i) => {
    const want = [x[0], ...states[i].shape];
    const fits = shape.length === want.length && shape.every((d, k) => d === want[k] || d === null || want[k] === null);
    if (!fits)
      fail(
        'SHAPE',
        `${path}: initial state ${states[i].path}`,
        formatShape(want),
        formatShape(shape),
        'Hand over states of a layer of the same size, or put a dense layer between.',
      );
  });
  return { batch: x[0], length: x[1], sizes, count };
}

/** Shapes of what a layer over time returns. */
export function sequenceShapes(
  cell: Cell,
  flags: SequenceFlags,
  inputs: readonly OpenShape[],
  path: string,
): OpenShape[] {
  const { batch, length, sizes } = checkSequence(inputs, cell, path);
  const output = outputOf(cell, sizes);
  const y = flags.returnSequences ? [batch, length, ...output] : [batch, ...output];
  const states = stateLeaves(stateOf(cell, sizes));
  return flags.returnState ? [y, ...states.map(({ shape }) => [batch, ...shape])] : [y];
}

/** The states that a stateful layer keeps between batches, one row's shape each. */
export function carriedStates(
  cell: Cell,
  flags: SequenceFlags,
  inputs: readonly OpenShape[],
  path: string,
): CarriedState[] {
  if (!flags.stateful) return [];
  const { sizes } = checkSequence(inputs, cell, path);
  return stateLeaves(stateOf(cell, sizes)).map(({ path: name, shape }) => ({ name, shape }));
}

/** A layer over time that is run one step at a time. Initial states count in the first step. */
export function sequenceInTime(
  { definition: { sequences = [], constants = [] } }: Cell,
  { returnSequences, goBackwards }: SequenceFlags,
  { inputs, refuse }: InTimeCall,
): readonly InTime[] {
  if (!inputs.includes('steps')) return [inputs.includes('latest') ? 'latest' : 'fixed'];
  const count = 1 + sequences.length;
  if (inputs.slice(0, count).some((kind) => kind !== 'steps') || inputs.slice(count).includes('steps'))
    refuse('of its inputs, some are sequences that come step by step and some are there as a whole');
  if (goBackwards) refuse('with goBackwards it starts at the last step, which comes at the end');
  if (inputs.slice(count, count + constants.length).includes('latest'))
    refuse('a constant of its cell changes from step to step');
  if (inputs.slice(count).includes('latest'))
    refuse(
      'its initial states follow from a sequence that is not over',
      'Make the layers before and after the hand-over two models, and give the second one the states as inputs.',
    );
  return [returnSequences ? 'steps' : 'latest', 'latest'];
}

/** Walks with the initial states that were given, else those of the batch before, else zeros. */
export function walkCall(
  cell: Cell,
  flags: SequenceFlags,
  call: LayerCall,
  inputs: readonly Tensor[],
  given: readonly Tensor[],
): { walk: Walk; mask: Tensor | null; carried: Record<string, Tensor> } {
  const { path } = call;
  const { memory } = call;
  const names =
    flags.stateful && !memory
      ? carriedStates(
          cell,
          flags,
          inputs.map((x) => x.shape),
          path,
        ).map(({ name }) => name)
      : [];
  if (names.some((name) => !call.carried?.[name]))
    fail(
      'UNSUPPORTED',
      path,
      'a stateful layer that stands in a model by itself',
      'one within another layer, or called twice',
      'Hand its states over with returnState and initial states.',
    );
  const kept = names.map((name) => (call.carried as Record<string, Tensor>)[name]);
  const own = given.length ? given : kept.length ? kept : null;
  const { sequences = [] } = cell.definition;
  const mask = call.masks.slice(0, 1 + sequences.length).reduce(bothMasks, null);
  const walk = walkSequence({
    ...flags,
    cell,
    x: inputs[0],
    further: inputs.slice(1),
    mask,
    weights: call.weights,
    initial: own,
    training: call.training,
    random: call.random,
    memory,
    path,
  });
  return { walk, mask, carried: Object.fromEntries(names.map((name, i) => [name, walk.states[i]])) };
}

function callSequence(cell: Cell, flags: SequenceFlags, call: LayerCall): LayerResult {
  const { count } = checkSequence(
    call.inputs.map((x) => x.shape),
    cell,
    call.path,
  );
  const { walk, mask, carried } = walkCall(cell, flags, call, call.inputs.slice(0, count), call.inputs.slice(count));
  const turn = flags.goBackwards;
  const y = walk.sequence ? (turn ? reverse(walk.sequence, 1) : walk.sequence) : walk.last;
  const yMask = walk.sequence && mask ? (turn ? reverse(mask, 1) : mask) : null;
  if (!flags.returnState) return { outputs: [y], masks: [yMask], carried };
  return { outputs: [y, ...walk.states], masks: [yMask, ...walk.states.map(() => null)], carried };
}

/** A layer class whose options are those of one cell, as Keras has them. */
function layerOfCell<const T extends OptionTable, S extends StateTree>(className: string, cell: CellFactory<T, S>) {
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
      return cellWeights(own, checkSequence(inputs, own, path).sizes, true, path);
    },
    outputs: (config, inputs, path) =>
      sequenceShapes(cellOf(config as never), config as unknown as SequenceFlags, inputs, path),
    carried: (config, inputs, path) =>
      carriedStates(cellOf(config as never), config as unknown as SequenceFlags, inputs, path),
    recurrence: (config) => ({ cell: cellOf(config as never), flags: config as unknown as SequenceFlags }),
    inTime: (config, call) => sequenceInTime(cellOf(config as never), config as unknown as SequenceFlags, call),
    call: (config, call) => callSequence(cellOf(config as never), config as unknown as SequenceFlags, call),
  });
}

/**
 * The fully connected recurrent layer: h = tanh(x W + h U + b). (B, T, F) to (B, U), or (B, T, U) with `returnSequences`.
 * Parameters: U (F + U + 1). Throws SHAPE for an input of other than three axes, as all layers here. Elman (1990). Keras: SimpleRNN.
 *
 * @example layers.simpleRNN({ units: 32 })
 */
export const simpleRNN = layerOfCell('SimpleRNN', simpleRNNCell);

/**
 * Long short-term memory. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: 4 U (F + U + 1).
 * Hochreiter, Schmidhuber (1997). Keras: LSTM; the formulas stand in `cells/lstm.ts`.
 *
 * @example layers.lstm({ units: 32, returnSequences: true })
 */
export const lstm = layerOfCell('LSTM', lstmCell);

/**
 * The gated recurrent unit. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: 3 U (F + U + 2), or 3 U (F + U + 1)
 * with `resetAfter: false`. Cho et al. (2014). Keras: GRU; the formulas stand in `cells/gru.ts`.
 *
 * @example layers.gru({ units: 32 })
 */
export const gru = layerOfCell('GRU', gruCell);

/**
 * The minimal gated unit, a GRU of one gate. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: 2 U (F + U + 1).
 * Zhou et al. (2016). Keras does not have it.
 *
 * @example layers.minimalGatedUnit({ units: 32 })
 */
export const minimalGatedUnit = layerOfCell('MinimalGatedUnit', minimalGatedUnitCell);

/**
 * The independently recurrent network. (B, T, F) to (B, U), or (B, T, U) with `returnSequences`. Parameters: U (F + 2).
 * Li et al. (2018). Keras does not have it.
 *
 * @example layers.indRNN({ units: 32, returnSequences: true })
 */
export const indRNN = layerOfCell('IndRNN', indRNNCell);

/**
 * LSTM of convolutions over one axis. (B, T, rows, C) to (B, windows, filters), or (B, T, windows, filters) with `returnSequences`.
 * Parameters: 4 filters (K (C + filters) + 1) for a window of K elements, as of all three. Shi et al. (2015). Keras: ConvLSTM1D.
 *
 * @example layers.convLstm1d({ filters: 8, kernelSize: 3, padding: 'same' })
 */
export const convLstm1d = layerOfCell('ConvLSTM1D', convLstm1dCell);

/**
 * LSTM of convolutions over two axes. (B, T, rows, columns, C) to (B, windows, windows, filters), with a time axis where
 * `returnSequences`. Keras: ConvLSTM2D.
 *
 * @example layers.convLstm2d({ filters: 8, kernelSize: 3, padding: 'same', returnSequences: true })
 */
export const convLstm2d = layerOfCell('ConvLSTM2D', convLstm2dCell);

/**
 * LSTM of convolutions over three axes. (B, T, planes, rows, columns, C) to (B, windows, windows, windows, filters), with a time axis where
 * `returnSequences`. Keras: ConvLSTM3D.
 *
 * @example layers.convLstm3d({ filters: 4, kernelSize: 3, padding: 'same' })
 */
export const convLstm3d = layerOfCell('ConvLSTM3D', convLstm3dCell);

/**
 * A layer over time of any cell. (B, T, F) to the cell's output, (B, U), or (B, T, U) with `returnSequences`; a cell of one's own may take other
 * axes, further sequences and constants. Keras: RNN.
 *
 * @example layers.rnn({ cell: layers.gruCell({ units: 8 }), returnSequences: true })
 */
export const rnn = defineLayer({
  className: 'RNN',
  options: {
    ...sequenceOptions,
    /** The step: a built-in cell, or one of `defineCell`. */
    cell: cellOption(),
    ...activityRegularizer,
  },
  weights: ({ cell }, inputs, path) => cellWeights(cell, checkSequence(inputs, cell, path).sizes, true, path),
  outputs: (config, inputs, path) => sequenceShapes(config.cell, config, inputs, path),
  carried: (config, inputs, path) => carriedStates(config.cell, config, inputs, path),
  recurrence: (config) => ({ cell: config.cell, flags: config }),
  inTime: (config, call) => sequenceInTime(config.cell, config, call),
  call: (config, call) => callSequence(config.cell, config, call),
});

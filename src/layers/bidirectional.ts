/** Two layers over time, one in each direction. Schuster and Paliwal, "Bidirectional recurrent neural networks" (1997). */
import { fail, UnrolledError } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { add, mul } from '../ops/pointwise.ts';
import { concat, reverse } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Cell, cellWeights, type SequenceFlags, stateOf } from './cell.ts';
import { stateLeaves } from './cell-state.ts';
import { defineLayer, isLayer, type Layer, type LayerCall, type OpenShape, placeLayer } from './layer.ts';
import { classToSnake } from './names.ts';
import { choice, type Option, showValue } from './options.ts';
import { carriedStates, checkSequence, sequenceShapes, walkCall } from './recurrent.ts';
import type { Regularizer } from './regularizers.ts';
import { layerToKeras } from './to-keras.ts';

const layerOption = (required: boolean): Option<Layer | null, Layer | null, boolean> => ({
  required,
  fallback: required ? undefined : null,
  expected: 'a recurrent layer, such as `layers.lstm({ units: 8 })`',
  parse(value, where) {
    if (value === null && !required) return null;
    if (!isLayer(value) || !value.definition.recurrence)
      fail('ARGUMENT', where, this.expected, isLayer(value) ? value.className : showValue(value));
    return value;
  },
  // Written by `kerasConfig`, which knows both.
  toKeras: () => null,
  fromKeras: (json, reading, where) => (json === null ? null : reading.layer(json, where)),
});

interface Half {
  readonly layer: Layer;
  readonly cell: Cell;
  readonly flags: SequenceFlags;
}

interface Config {
  readonly layer: Layer | null;
  readonly backwardLayer: Layer | null;
  readonly mergeMode: 'concat' | 'sum' | 'mul' | 'ave' | null;
}

/** The two inner layers. Masked steps of a returned sequence are zero in both, as in Keras. */
export function halvesOf(config: Config): [Half, Half] {
  const forward = config.layer as Layer;
  const backward =
    config.backwardLayer ??
    placeLayer(forward.definition, { ...forward.config, goBackwards: !forward.config.goBackwards });
  const half = (layer: Layer): Half => {
    const recurrence = layer.definition.recurrence?.(layer.config);
    if (!recurrence) throw new UnrolledError('INTERNAL', `${layer.className} is not a layer over time`);
    const { cell, flags } = recurrence;
    const { returnSequences, returnState, goBackwards, stateful } = flags;
    const zeroOutputForMask = returnSequences;
    return { layer, cell, flags: { returnSequences, returnState, goBackwards, zeroOutputForMask, stateful } };
  };
  return [half(forward), half(backward)];
}

const directions = ['forward', 'backward'] as const;

/** What belongs to one half, by its own names. */
function partOf(all: Readonly<Record<string, Tensor>> | undefined, direction: string): Record<string, Tensor> {
  const prefix = `${direction}/`;
  return Object.fromEntries(
    Object.entries(all ?? {})
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

function walkHalf(
  { cell, flags, layer }: Half,
  direction: string,
  call: LayerCall,
  inputs: readonly Tensor[],
  initial: readonly Tensor[],
) {
  const own = {
    ...call,
    weights: partOf(call.weights, direction),
    carried: partOf(call.carried, direction),
    path: `${call.path}/${direction}`,
  };
  const { walk, mask, carried } = walkCall(cell, flags, own, inputs, initial);
  const named = Object.entries(carried).map(([name, value]): [string, Tensor] => [`${direction}/${name}`, value]);
  const penalty = (layer.config.activityRegularizer ?? null) as Regularizer | null;
  const returned = [walk.sequence ?? walk.last, ...(flags.returnState ? walk.states : [])];
  const losses = penalty ? returned.map((y) => mul(penalty.penalty(y), 1 / Math.max(1, y.shape[0]))) : [];
  return { walk, mask, carried: named, losses };
}

/** The inputs before the initial states, and how many states each half takes. Throws SHAPE where they do not fit. */
function checkInputs(halves: readonly Half[], inputs: readonly OpenShape[], path: string) {
  const counts = halves.map(({ cell }, i) => {
    const { sequences = [], constants = [] } = cell.definition;
    const count = 1 + sequences.length + constants.length;
    const { sizes } = checkSequence(inputs.slice(0, count), cell, `${path}/${directions[i]}`);
    return { count, states: stateLeaves(stateOf(cell, sizes)).length };
  });
  const [{ count, states }, backward] = counts;
  const given = inputs.slice(count);
  if (count !== backward.count)
    fail('SHAPE', path, 'cells that take the same inputs', `${count} and ${backward.count} inputs`);
  if (given.length && given.length !== states + backward.states)
    fail(
      'SHAPE',
      path,
      `${states + backward.states} initial states, the forward ones first`,
      given.length === 1 ? `1 of ${formatShape(given[0])}` : `${given.length}`,
      'Give each direction as many as its layer returns with returnState.',
    );
  const own = inputs.slice(0, count);
  const perHalf = [
    [...own, ...given.slice(0, states)],
    [...own, ...given.slice(states)],
  ];
  halves.forEach(({ cell }, i) => void checkSequence(perHalf[i], cell, `${path}/${directions[i]}`));
  return { count, states, perHalf };
}

/**
 * Runs a layer over time in both directions and merges the outputs step by step: (B, T, F) to (B, 2U), or (B, T, 2U) with
 * `returnSequences`, for `mergeMode: 'concat'`. With `returnState`: y, the forward states, then the backward ones. The first half of the
 * initial states is the forward one. A mask goes on with `returnSequences`. Throws ARGUMENT for layers of one direction or of other returns, SHAPE
 * for sizes that `mergeMode` cannot join. Parameters: those of both layers. Schuster, Paliwal (1997). Keras: Bidirectional.
 *
 * @example layers.bidirectional({ layer: layers.lstm({ units: 32, returnSequences: true }) })
 */
export const bidirectional = defineLayer({
  className: 'Bidirectional',
  takesStates: true,
  inTime(_config, { inputs, refuse }) {
    if (inputs.includes('steps')) refuse('its backward layer starts at the last step, which comes at the end');
    return [inputs.includes('latest') ? 'latest' : 'fixed'];
  },
  options: {
    /** How the two outputs become one; null returns both. Default concat. */
    mergeMode: choice(['concat', 'sum', 'mul', 'ave', null], 'concat'),
    /** The forward layer. */
    layer: layerOption(true) as Option<Layer, Layer, true>,
    /** The backward layer. Default: like the forward one, with `goBackwards`. */
    backwardLayer: layerOption(false) as Option<Layer | null, Layer | null, false>,
  },
  kerasConfig(config, json) {
    const [forward, backward] = halvesOf(config);
    const write = ({ layer, flags }: Half, direction: string) => {
      const own = layer.name ?? classToSnake(layer.className);
      const name = own.startsWith(`${direction}_`) ? own : `${direction}_${own.replace(/^forward_/, '')}`;
      const written = layerToKeras(layer, name) as { config: Record<string, unknown> };
      return { ...written, config: { ...written.config, zero_output_for_mask: flags.zeroOutputForMask } };
    };
    const { layer: _layer, backward_layer: _backward, ...rest } = json;
    return { ...rest, layer: write(forward, 'forward'), backward_layer: write(backward, 'backward') };
  },
  check(config, where) {
    const [forward, backward] = halvesOf(config);
    if (forward.flags.goBackwards === backward.flags.goBackwards)
      fail(
        'ARGUMENT',
        where,
        'layers of opposite directions',
        `goBackwards ${forward.flags.goBackwards} in both`,
        'Give the backward layer `goBackwards: true`.',
      );
    for (const key of ['returnSequences', 'returnState', 'stateful'] as const)
      if (forward.flags[key] !== backward.flags[key])
        fail('ARGUMENT', where, `the same ${key} in both layers`, `${forward.flags[key]} and ${backward.flags[key]}`);
  },
  carried(config, inputs, path) {
    const halves = halvesOf(config);
    const { perHalf } = checkInputs(halves, inputs, path);
    return halves.flatMap(({ cell, flags }, i) =>
      carriedStates(cell, flags, perHalf[i], `${path}/${directions[i]}`).map(({ name, shape }) => ({
        name: `${directions[i]}/${name}`,
        shape,
      })),
    );
  },
  weights(config, inputs, path) {
    const halves = halvesOf(config);
    const { perHalf } = checkInputs(halves, inputs, path);
    return halves.flatMap(({ cell, layer }, i) => {
      const { sizes } = checkSequence(perHalf[i], cell, `${path}/${directions[i]}`);
      return cellWeights(cell, sizes, layer.trainable, path).map((spec) => ({
        ...spec,
        name: `${directions[i]}/${spec.name}`,
      }));
    });
  },
  outputs(config, inputs, path): readonly OpenShape[] {
    const halves = halvesOf(config);
    const { perHalf } = checkInputs(halves, inputs, path);
    const [[y, ...states], [z, ...backwardStates]] = halves.map(({ cell, flags }, i) =>
      sequenceShapes(cell, flags, perHalf[i], path),
    );
    const last = (shape: OpenShape) => shape[shape.length - 1] as number;
    if (config.mergeMode !== 'concat' && config.mergeMode !== null && last(y) !== last(z))
      fail('SHAPE', path, `layers of equal size for mergeMode '${config.mergeMode}'`, `${last(y)} and ${last(z)}`);
    const merged =
      config.mergeMode === null
        ? [y, z]
        : config.mergeMode === 'concat'
          ? [[...y.slice(0, -1), last(y) + last(z)]]
          : [y];
    return [...merged, ...states, ...backwardStates];
  },
  call(config, call) {
    const [forward, backward] = halvesOf(config);
    const shapes = call.inputs.map((x) => x.shape);
    const { count, states } = checkInputs([forward, backward], shapes, call.path);
    const inputs = call.inputs.slice(0, count);
    const initial = call.inputs.slice(count);
    const y = walkHalf(forward, 'forward', call, inputs, initial.slice(0, states));
    const z = walkHalf(backward, 'backward', call, inputs, initial.slice(states));
    // Sequences stand in the order of time in both walks; Keras flips them into the order of the forward layer's walk.
    const inOrder = (sequence: Tensor) => (forward.flags.goBackwards ? reverse(sequence, 1) : sequence);
    const a = y.walk.sequence ? inOrder(y.walk.sequence) : y.walk.last;
    const b = z.walk.sequence ? inOrder(z.walk.sequence) : z.walk.last;
    const mask = y.walk.sequence && y.mask ? inOrder(y.mask) : null;
    const outputs = merge(a, b, config.mergeMode);
    const last = forward.flags.returnState ? [...y.walk.states, ...z.walk.states] : [];
    return {
      outputs: [...outputs, ...last],
      masks: [...outputs.map(() => mask), ...last.map(() => null)],
      carried: Object.fromEntries([...y.carried, ...z.carried]),
      losses: [...y.losses, ...z.losses],
    };
  },
});

function merge(a: Tensor, b: Tensor, mode: Config['mergeMode']): Tensor[] {
  if (mode === null) return [a, b];
  if (mode === 'concat') return [concat([a, b], -1)];
  if (mode === 'mul') return [mul(a, b)];
  const total = add(a, b);
  return [mode === 'sum' ? total : mul(total, 0.5)];
}

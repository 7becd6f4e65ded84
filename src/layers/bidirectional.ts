/** Two layers over time, one in each direction. Schuster and Paliwal, "Bidirectional recurrent neural networks" (1997). */
import { fail, UnrolledError } from '../core/errors.ts';
import { add, mul } from '../ops/pointwise.ts';
import { concat, reverse } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Cell, cellWeights, type SequenceFlags } from './cell.ts';
import { defineLayer, isLayer, type Layer, type LayerCall, type OpenShape, placeLayer } from './layer.ts';
import { classToSnake } from './names.ts';
import { absent, choice, type Option, showValue } from './options.ts';
import { checkSequence, sequenceShapes, walkSequence } from './recurrent.ts';
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
  const backward = config.backwardLayer ?? placeLayer(forward.definition, { ...forward.config, goBackwards: true });
  const half = (layer: Layer): Half => {
    const recurrence = layer.definition.recurrence?.(layer.config);
    if (!recurrence) throw new UnrolledError('INTERNAL', `${layer.className} is not a layer over time`);
    const { cell, flags } = recurrence;
    const { returnSequences, returnState, goBackwards } = flags;
    return { layer, cell, flags: { returnSequences, returnState, goBackwards, zeroOutputForMask: returnSequences } };
  };
  return [half(forward), half(backward)];
}

function walkHalf({ cell, flags }: Half, prefix: string, call: LayerCall, initial: readonly Tensor[] | null) {
  const weights = Object.fromEntries(
    Object.entries(call.weights)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, weight]) => [name.slice(prefix.length), weight]),
  );
  return walkSequence({
    ...flags,
    cell,
    x: call.inputs[0],
    mask: call.masks[0],
    weights,
    initial,
    training: call.training,
    random: call.random,
    path: `${call.path}/${prefix.slice(0, -1)}`,
  });
}

/**
 * Runs a layer over time in both directions and merges the outputs step by step: (B, T, F) to (B, 2U), or (B, T, 2U) with
 * `returnSequences`, for `mergeMode: 'concat'`. With `returnState`: y, the forward states, then the backward ones. The first half of the
 * initial states is the forward one.
 *
 * @example layers.bidirectional({ layer: layers.lstm({ units: 32, returnSequences: true }) })
 */
export const bidirectional = defineLayer({
  className: 'Bidirectional',
  options: {
    /** How the two outputs become one; null returns both. Default concat. */
    mergeMode: choice(['concat', 'sum', 'mul', 'ave', null], 'concat'),
    /** The forward layer. */
    layer: layerOption(true) as Option<Layer, Layer, true>,
    /** The backward layer. Default: like the forward one, with `goBackwards`. */
    backwardLayer: layerOption(false) as Option<Layer | null, Layer | null, false>,
    activityRegularizer: { ...absent('Regularisers'), key: null },
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
    for (const key of ['returnSequences', 'returnState'] as const)
      if (forward.flags[key] !== backward.flags[key])
        fail('ARGUMENT', where, `the same ${key} in both layers`, `${forward.flags[key]} and ${backward.flags[key]}`);
  },
  weights(config, inputs, path) {
    const [x] = inputs;
    return halvesOf(config).flatMap(({ cell, layer }, i) => {
      const direction = i === 0 ? 'forward' : 'backward';
      const { features } = checkSequence([x], cell, `${path}/${direction}`);
      return cellWeights(cell, features, layer.trainable, path).map((spec) => ({
        ...spec,
        name: `${direction}/${spec.name}`,
      }));
    });
  },
  outputs(config, inputs, path): readonly OpenShape[] {
    const [forward, backward] = halvesOf(config);
    const [y, ...states] = sequenceShapes(forward.cell, forward.flags, [inputs[0]], path);
    const [z, ...backwardStates] = sequenceShapes(backward.cell, backward.flags, [inputs[0]], path);
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
    const initial = call.inputs.slice(1);
    const count = Object.keys(forward.cell.definition.state(forward.cell.config)).length;
    const given = initial.length > 0;
    if (given && initial.length < 2 * count)
      fail('SHAPE', call.path, `${2 * count} initial states, the forward ones first`, String(initial.length));
    const y = walkHalf(forward, 'forward/', call, given ? initial.slice(0, count) : null);
    const z = walkHalf(backward, 'backward/', call, given ? initial.slice(count) : null);
    // Sequences stand in the order of time in both walks; Keras flips them into the order of the forward layer's walk.
    const inOrder = (sequence: Tensor) => (forward.flags.goBackwards ? reverse(sequence, 1) : sequence);
    const a = y.sequence ? inOrder(y.sequence) : y.last;
    const b = z.sequence ? inOrder(z.sequence) : z.last;
    const mask = y.sequence && call.masks[0] ? inOrder(call.masks[0]) : null;
    const outputs = merge(a, b, config.mergeMode);
    const states = forward.flags.returnState ? [...y.states, ...z.states] : [];
    return { outputs: [...outputs, ...states], masks: [...outputs.map(() => mask), ...states.map(() => null)] };
  },
});

function merge(a: Tensor, b: Tensor, mode: Config['mergeMode']): Tensor[] {
  if (mode === null) return [a, b];
  if (mode === 'concat') return [concat([a, b], -1)];
  if (mode === 'mul') return [mul(a, b)];
  const total = add(a, b);
  return [mode === 'sum' ? total : mul(total, 0.5)];
}

/** Numbers that are part of a model: what stands for arrays that are given where a symbolic tensor could be. */
import type { NdArray } from '../core/array.ts';
import { fail, UnrolledError } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant } from '../ops/tensor.ts';
import type { Layer, LayerDefinition } from './layer.ts';

interface Config {
  readonly values: NdArray;
}

const definition: LayerDefinition = {
  className: 'Values',
  options: {},
  inputTypes: () => ['any'],
  keepsRows: (config) => (config as unknown as Config).values.shape[0] > 1,
  weights: () => [],
  outputs(config, [shape]) {
    const [rows, ...rest] = (config as unknown as Config).values.shape;
    return [[rows === 1 ? shape[0] : rows, ...rest]];
  },
  call(config, { inputs: [x], path }) {
    const { values } = config as unknown as Config;
    const [rows, ...rest] = values.shape;
    const [batch] = x.shape;
    if (rows !== 1 && rows !== batch)
      fail(
        'SHAPE',
        path,
        `a batch of ${rows} rows, as the values ${formatShape(values.shape)} are for`,
        `a batch of ${batch}`,
        'Give values of one row, (1, ...), to start every row alike, or choose this batch size.',
      );
    const y = constant(x.graph, Float64Array.from(values.data), values.shape);
    return { outputs: [rows === batch ? y : broadcastTo(y, [batch, ...rest])], masks: [null] };
  },
};

/**
 * A layer that takes any input and gives the same numbers for every batch. Values of one row stand for all rows; others are for batches of
 * their size alone.
 *
 * @param values the batch in front
 */
export function valuesLayer(values: NdArray): Layer {
  const config = Object.freeze({ values });
  return Object.freeze({
    definition,
    className: definition.className,
    name: null,
    trainable: true,
    config,
    apply: () => {
      throw new UnrolledError('INTERNAL', 'values are connected, not applied');
    },
  });
}

/** The values of such a layer; null for other layers. */
export function valuesOf(layer: Layer): NdArray | null {
  return layer.definition === definition ? (layer.config as unknown as Config).values : null;
}

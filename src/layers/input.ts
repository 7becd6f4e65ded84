/** The place where data enters a model. */
import { fail } from '../core/errors.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { absent, choice, type Option, option, showValue } from './options.ts';

const isSize = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v) && v >= 0;

const openShape = (expected: string): Option<OpenShape | null, OpenShape | null, false> => ({
  required: false,
  fallback: null,
  expected,
  parse(value, where) {
    if (value === null) return null;
    if (!Array.isArray(value) || !value.every((d) => d === null || isSize(d)))
      fail('ARGUMENT', where, expected, showValue(value));
    return Object.freeze([...value]) as OpenShape;
  },
});

/**
 * The input of a model: `layers.input({ shape: [100, 8] })` for 100 steps of 8 features, `shape: [null]` for sequences of indices of any
 * length. Give `batchSize`, or `batchShape` in place of both, to fix the batch. Keras: Input, InputLayer.
 *
 * @example sequential([layers.input({ shape: [null, 8] }), layers.lstm({ units: 32 })])
 */
export const input = defineLayer({
  className: 'InputLayer',
  options: {
    /** The shape of one sample; null for sizes that may vary. */
    shape: { ...openShape('a shape of whole numbers and nulls'), key: null },
    /** A fixed number of samples in a batch. Default null: any. */
    batchSize: {
      ...option<number | null>('a positive integer, or null', (v) => v === null || (isSize(v) && v > 0), null),
      key: null,
    },
    /** Batch size and shape together, Keras's form. */
    batchShape: openShape('a shape with the batch in front'),
    /** float32 or int32. Default float32; whole numbers enter an embedding exactly in both. */
    dtype: {
      ...choice(['float32', 'int32'], 'float32'),
      fromKeras: (json: unknown) => (json === 'int64' ? 'int32' : (json ?? 'float32')),
    },
    sparse: { ...absent('Sparse inputs'), fromKeras: (json: unknown) => json || null, toKeras: () => false },
    ragged: { ...absent('Ragged inputs'), fromKeras: (json: unknown) => json || null, toKeras: () => false },
  },
  check(config, where) {
    if ((config.shape === null) === (config.batchShape === null))
      fail(
        'ARGUMENT',
        where,
        'either `shape` or `batchShape`',
        config.shape === null ? 'neither' : 'both',
        'Write `layers.input({ shape: [100, 8] })`.',
      );
    if (config.batchShape && config.batchSize !== null) fail('ARGUMENT', where, 'batchShape alone', 'batchSize too');
  },
  kerasConfig: ({ shape, batchShape, batchSize }, { batch_shape: _shape, trainable: _trainable, dtype, ...rest }) => ({
    batch_shape: batchShape ?? [batchSize, ...(shape ?? [])],
    dtype,
    ...rest,
  }),
  weights: () => [],
  outputs: ({ shape, batchShape, batchSize }) => [batchShape ?? [batchSize, ...(shape ?? [])]],
  call: (_config, { inputs, masks }) => ({ outputs: inputs, masks }),
});

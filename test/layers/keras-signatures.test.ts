/**
 * Our option tables beside the constructors of Keras 3 (`test/golden/keras-signatures.py`): every argument of Keras is an option here, with the
 * same default, or stands in a list below with the reason.
 */
import { describe, expect, it } from 'vitest';
import { activationOf, activations } from '../../src/layers/activations.ts';
import { layerClasses } from '../../src/layers/all.ts';
import { cells } from '../../src/layers/cells/all.ts';
import { constraints } from '../../src/layers/constraints.ts';
import { initializers } from '../../src/layers/initializers.ts';
import type { LayerDefinition } from '../../src/layers/layer.ts';
import { camelToSnake, plainName } from '../../src/layers/names.ts';
import type { OptionTable } from '../../src/layers/options.ts';
import { regularizers } from '../../src/layers/regularizers.ts';
import { readGolden } from '../golden/golden.ts';

type Arguments = Record<string, unknown>;
type Signatures = Record<
  'layers' | 'calls' | 'activations' | 'initializers' | 'regularizers' | 'constraints',
  Record<string, Arguments>
> & { calls: Record<string, string[]> };
const keras = readGolden<Signatures>('keras-signatures.json');

/** Arguments of constructors that are no options here, for any class. */
const notHere: Readonly<Record<string, string>> = {
  unroll: 'how a loop is run is decided by the compiler; the result is the same',
  use_cudnn: 'a choice of kernel; the result is the same',
  lora_rank: 'low-rank adaptation is not among the layers; null is read',
  lora_alpha: 'goes with lora_rank',
  quantization_config: 'quantised weights are not among the layers; null is read',
  gptq_unpacked_column_size: 'goes with quantization_config',
  weights: 'values are set with setWeight, and start from `initializers.constant` or a pretrained matrix',
  input_tensor: 'an input stands for data, `apply` connects it',
  optional: 'inputs may not be left out; false is read',
  input_axes: 'a file says the sizes by the shape of the weight',
  output_axes: 'as input_axes',
};

/** The same, of one class. */
const notOfClass: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  InputLayer: {
    shape: 'written into batch_shape',
    batch_size: 'written into batch_shape',
  },
  BatchNormalization: {
    synchronized: 'there is one process; false is read',
  },
};

/** Activations of Keras that have no name here. */
const noActivation: Readonly<Record<string, string>> = {
  glu: 'halves the last axis, which the shape of no layer follows (in Keras neither); `layers.custom` splits and multiplies',
  threshold:
    'has two arguments without a default, so that Keras has no name for it either; `layers.relu({ threshold })`',
};

const noInitializer: Readonly<Record<string, string>> = {
  STFT: 'the basis of a Fourier transform, for the convolution of audio layers that are not here',
};

/** Defaults that differ, with the reason. */
const otherDefault: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  AveragePooling1D: { pool_size: 'given as in MaxPooling1D, where Keras demands it' },
  SpatialDropout1D: { dtype: 'float32 is what null means' },
  InputLayer: { dtype: 'float32 is what null means', sparse: 'false is what null means', ragged: 'the same' },
};

const word = (value: unknown): unknown => {
  if (Array.isArray(value))
    return value.length > 1 && value.every((v) => v === value[0])
      ? word(value[0])
      : value.length === 1
        ? word(value[0])
        : value;
  if (typeof value === 'object' && value !== null && 'class_name' in value) return plainName(String(value.class_name));
  return typeof value === 'string' ? plainName(value) : value;
};
/** What null stands for, by the argument. */
const meaning = (key: string, value: unknown): unknown => {
  if (value === null && key === 'activation') return 'linear';
  if (value === null && key === 'data_format') return 'channelslast';
  if (key.endsWith('_initializer') && word(value) === 'uniform') return 'randomuniform';
  return word(value);
};

function compare(className: string, table: OptionTable, given: Arguments): string[] {
  const own = new Map(
    Object.entries(table).flatMap(([name, kind]) =>
      kind.key === null ? [] : [[kind.key ?? camelToSnake(name), kind]],
    ),
  );
  const faults: string[] = [];
  for (const [key, value] of Object.entries(given)) {
    const reason = notHere[key] ?? notOfClass[className]?.[key];
    const option = own.get(key);
    if (!option) {
      if (!reason) faults.push(`${className}.${key} is missing`);
      continue;
    }
    if (reason) faults.push(`${className}.${key} is there, and listed as missing`);
    if (otherDefault[className]?.[key]) continue;
    const required = typeof value === 'object' && value !== null && 'required' in value;
    if (required !== option.required) faults.push(`${className}.${key}: required ${option.required}`);
    if (required || option.required) continue;
    const parsed = option.parse(option.fallback, key);
    const written = option.toKeras ? option.toKeras(parsed, key) : parsed;
    if (JSON.stringify(meaning(key, written)) !== JSON.stringify(meaning(key, value)))
      faults.push(`${className}.${key}: ${JSON.stringify(written)} instead of ${JSON.stringify(value)}`);
  }
  return faults;
}

describe('constructors of Keras', () => {
  it.each(Object.keys(keras.layers))('%s', (className) => {
    const definition = layerClasses.get(className) as LayerDefinition | undefined;
    const cell = cells.get(className) as unknown as { definition: { options: OptionTable } } | undefined;
    const table = definition?.options ?? cell?.definition.options;
    expect(table, 'the class').toBeDefined();
    expect(compare(className, table as OptionTable, keras.layers[className])).toEqual([]);
  });

  it.each([
    ['initializers', initializers, noInitializer],
    ['regularizers', regularizers, {}],
    ['constraints', constraints, {}],
  ] as const)('%s', (kind, own, missing) => {
    const made = Object.values(own).map((factory) => factory());
    const faults = Object.entries(keras[kind]).flatMap(([className, given]) => {
      const found = made.find((one) => one.className === className);
      if (!found) return className in missing ? [] : [`${className} is missing`];
      return compare(className, found.options, given);
    });
    expect(faults).toEqual([]);
  });

  it('activations', () => {
    const names = Object.keys(keras.activations).filter((name) => !(name in noActivation));
    const missing = names.filter((name) => {
      try {
        return !activations.has(activationOf(name, 'test').name);
      } catch {
        return true;
      }
    });
    expect(missing).toEqual([]);
  });
});

describe('arguments of calls', () => {
  /** Read and written as arguments of a call; `test/train/call-arguments.test.ts`. */
  const known = new Set([
    ...['initial_state', 'mask', 'training', 'states'],
    ...['return_attention_scores', 'use_causal_mask', 'query_mask', 'value_mask', 'key_mask', 'attention_mask'],
  ]);
  it('are known', () => {
    for (const [className, names] of Object.entries(keras.calls))
      expect(
        names.filter((name) => !known.has(name)),
        className,
      ).toEqual([]);
  });
});

/** Models of any shape as Keras 3's configurations. Source: Keras 3, `keras/src/models/functional.py`. */
import { NdArray } from '../core/array.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import { isOperation, operationToKeras } from '../layers/operation.ts';
import type { CallArguments } from '../layers/symbolic.ts';
import { valuesOf } from '../layers/values.ts';
import { callWords, type History, separateInputs } from './functional-config.ts';
import { isObject, type Json } from './keras-json.ts';

/** What a writer needs of a network. */
export interface WrittenNetwork {
  readonly layers: readonly { readonly layer: Layer; readonly name: string }[];
  readonly calls: readonly {
    readonly layer: number;
    readonly inputs: readonly { readonly call: number; readonly output: number }[];
    readonly masks?: readonly ({ readonly call: number; readonly output: number } | null)[];
    readonly shapes: readonly OpenShape[];
    readonly given?: CallArguments;
  }[];
  readonly inputs: readonly { readonly call: number }[];
  readonly outputs: readonly { readonly call: number; readonly output: number }[];
}

/** The configuration of a functional model, as Keras 3 writes it. @param write a layer under its name */
export function functionalToKeras(
  name: string,
  network: WrittenNetwork,
  trainable: boolean,
  write: (layer: Layer, name: string) => Json,
): Record<string, unknown> {
  const { layers, calls } = network;
  const ownIndex = calls.map((call, i) => calls.slice(0, i).filter((c) => c.layer === call.layer).length);
  const history = (r: { call: number; output: number }): History => [
    layers[calls[r.call].layer].name,
    ownIndex[r.call],
    r.output,
  ];
  const tensor = (r: { call: number; output: number }) => {
    const values = valuesOf(layers[calls[r.call].layer].layer);
    if (values) return writtenNumbers(values);
    return {
      class_name: '__keras_tensor__',
      config: { shape: calls[r.call].shapes[r.output], dtype: 'float32', keras_history: history(r) },
    };
  };
  const written = layers.flatMap(({ layer, name: own }, index): Record<string, unknown>[] => {
    if (valuesOf(layer)) return [];
    const nodes = calls.filter((call) => call.layer === index);
    if (isOperation(layer)) {
      const { module, options, args, keepsMask } = operationToKeras(layer);
      const [call] = nodes;
      return [
        {
          module,
          class_name: layer.className,
          config: { name: own, ...options },
          registered_name: layer.className,
          name: own,
          // Keras reads over it: there a mask ends at every operation.
          ...(keepsMask && { keeps_mask: true }),
          inbound_nodes: [{ args: args.map((arg) => writeArgument(arg, (i) => tensor(call.inputs[i]))), kwargs: {} }],
        },
      ];
    }
    const inbound = nodes
      .filter(({ inputs }) => inputs.length)
      .map(({ inputs, masks = [], given: byCall }) => {
        const all = inputs.map(tensor);
        const looking = layer.definition.takesAttentionMask && all.length === 4 ? { attention_mask: all[3] } : {};
        const tensors = 'attention_mask' in looking ? all.slice(0, 3) : all;
        const said = {
          ...looking,
          ...callArguments({ ...layer.config, ...byCall?.options }),
          ...(byCall?.training != null && { training: byCall.training }),
        };
        const states = Boolean(layer.definition.recurrence || layer.definition.takesStates);
        const separate = separateInputs.has(layer.className);
        const given = masks.map((mask) => mask && tensor(mask));
        const mask = !given.some((m) => m)
          ? {}
          : separate
            ? Object.fromEntries(given.flatMap((m, i) => (m ? [[`${['query', 'value', 'key'][i]}_mask`, m]] : [])))
            : { mask: given.length > 1 && !states ? given : given[0] };
        if (states)
          return {
            args: tensors.slice(0, 1),
            kwargs: { ...mask, ...said, ...(tensors.length > 1 && { initial_state: tensors.slice(1) }) },
          };
        const kwargs = { ...mask, ...said };
        return { args: separate || tensors.length === 1 ? tensors : [tensors], kwargs };
      });
    return [{ ...withoutCallWords(layer, write(layer, own)), name: own, inbound_nodes: inbound }];
  });
  // Keras counts the building of a functional model as its call 0, but only here.
  const end = (r: { call: number; output: number }): History => {
    const [own, call, output] = history(r);
    return [own, call + (layers[calls[r.call].layer].layer.className === 'Functional' ? 1 : 0), output];
  };
  const ends = (list: History[]) => (list.length === 1 ? list[0] : list);
  return {
    module: 'keras.src.models.functional',
    class_name: 'Functional',
    config: {
      name,
      trainable,
      layers: written,
      input_layers: ends(network.inputs.map(({ call }) => history({ call, output: 0 }))),
      output_layers: ends(network.outputs.map(end)),
    },
    registered_name: 'Functional',
  };
}

/** Options of ours that Keras takes when the layer is called. */
function callArguments(config: Json): Json {
  return Object.fromEntries(
    Object.entries(callWords).flatMap(([keras, own]) => (config[own] === true ? [[keras, true]] : [])),
  );
}

/** They stand in the arguments of the calls, and not in the layer's own configuration, which Keras would refuse. */
function withoutCallWords(layer: Layer, written: Json): Json {
  const own = Object.entries(callWords).filter(([, option]) => layer.definition.options[option]);
  if (!own.length) return written;
  const config = { ...(written.config as Record<string, unknown>) };
  for (const [keras] of own) delete config[keras];
  return { ...written, config };
}

const writtenNumbers = (array: NdArray) => ({
  class_name: '__numpy__',
  config: { value: array.toNested(), dtype: array.dtype === 'int32' ? 'int32' : 'float32' },
});

function writeArgument(value: unknown, tensor: (input: number) => unknown): unknown {
  if (Array.isArray(value)) return value.map((v) => writeArgument(v, tensor));
  if (value === '...') return { class_name: '__ellipsis__', config: {} };
  if (value instanceof NdArray) return writtenNumbers(value);
  if (isObject(value) && 'input' in value) return tensor(value.input as number);
  if (isObject(value) && 'slice' in value) return { class_name: '__slice__', config: value.slice };
  return value;
}

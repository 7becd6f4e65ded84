/**
 * Keras's configurations of models of any shape, of every generation: Keras 3 writes tensors as `__keras_tensor__` objects inside the
 * arguments of a call, Keras 2 as lists [name, call, output, kwargs]. Source: Keras 3, `keras/src/models/functional.py`; tf-keras,
 * `engine/functional.py`.
 */
import { fail } from '../core/errors.ts';
import { layerFromKeras } from '../layers/from-keras.ts';
import { kerasOperations } from '../layers/keras-operations.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import { isOperation, kerasOperation, operationToKeras } from '../layers/operation.ts';
import { type KerasReading, showValue } from '../layers/options.ts';
import { connect, SymbolicTensor } from '../layers/symbolic.ts';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** [name, call, output]. */
type History = readonly [string, number, number];

const isHistory = (value: unknown): value is History =>
  Array.isArray(value) && value.length === 3 && typeof value[0] === 'string' && value.slice(1).every(Number.isInteger);

const layerLimit = 10_000;

interface Node {
  readonly layer: Entry;
  readonly args: readonly unknown[];
  readonly kwargs: Json;
  outputs: readonly SymbolicTensor[] | null;
}

interface Entry {
  readonly name: string;
  readonly json: Json;
  readonly nodes: Node[];
  layer: Layer | null;
}

/** Classes whose calls take their inputs one by one, and not as a list. */
const separateInputs = new Set(['MultiHeadAttention', 'GroupQueryAttention']);

/** Stands for a tensor in the arguments of a call. */
class Place {
  readonly history: History;
  constructor(history: History) {
    this.history = history;
  }
}

/** Keras 3's arguments: places for tensors, plain slices, the rest as it is. */
function readArguments(value: unknown, where: string): unknown {
  if (Array.isArray(value)) return value.map((v) => readArguments(v, where));
  if (!isObject(value)) return value;
  if (value.class_name === '__keras_tensor__') {
    const history = (value.config as Json | undefined)?.keras_history;
    if (!isHistory(history)) fail('FORMAT', where, 'a tensor with keras_history', showValue(value));
    return new Place(history);
  }
  if (value.class_name === '__slice__') return { slice: value.config };
  if (value.class_name === '__ellipsis__') return '...';
  if (value.class_name === '__tuple__') return readArguments(value.items ?? value.config, where);
  if ('class_name' in value) fail('UNSUPPORTED', where, 'tensors and plain values as arguments', showValue(value));
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, readArguments(v, where)]));
}

/** Keras 2's: [name, call, output], or with kwargs behind; '_CONSTANT_VALUE' for plain values. */
function readOldArgument(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  if (value[0] === '_CONSTANT_VALUE') return value[2];
  return isHistory(value) ? new Place(value) : value.map(readOldArgument);
}

function readNode(layer: Entry, json: unknown, where: string): Node {
  if (isObject(json)) {
    const args = readArguments(json.args ?? [], where) as unknown[];
    return { layer, args, kwargs: readArguments(json.kwargs ?? {}, where) as Json, outputs: null };
  }
  if (!Array.isArray(json)) fail('FORMAT', where, 'a call: an object, or a list', showValue(json));
  // One tensor may stand without a list around it.
  const list: unknown[] = typeof json[0] === 'string' ? [json] : json;
  let kwargs: Record<string, unknown> = {};
  const inputs = list.map((item) => {
    if (!Array.isArray(item)) fail('FORMAT', where, '[name, call, output, kwargs]', showValue(item));
    const own = item[3];
    if (isObject(own))
      kwargs = { ...kwargs, ...Object.fromEntries(Object.entries(own).map(([k, v]) => [k, readOldArgument(v)])) };
    return readOldArgument(item.slice(0, 3));
  });
  return { layer, args: inputs.length === 1 ? inputs : [inputs], kwargs, outputs: null };
}

/** Histories of the ends: one flat, or several. */
function endsOf(value: unknown, where: string): History[] {
  if (isHistory(value)) return [value];
  const list = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : null;
  if (!list?.length || !list.every(isHistory))
    fail('FORMAT', where, 'a list of [layer, call, output]', showValue(value));
  return list;
}

function placesIn(value: unknown): Place[] {
  if (value instanceof Place) return [value];
  if (Array.isArray(value)) return value.flatMap(placesIn);
  return isObject(value) && !('slice' in value) ? Object.values(value).flatMap(placesIn) : [];
}

export interface FunctionalConfig {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
}

/** Whether the class is an operation, and not a layer of the same name. */
function isOperationJson(json: Json): boolean {
  const module = String(json.module ?? '');
  return module.startsWith('keras.src.ops') || module.startsWith('keras.ops');
}

/** Reads the calls of a functional model. Throws FORMAT for cycles, calls that are not there, and names used twice. */
export function functionalFromKeras(config: Json, reading: KerasReading, where: string): FunctionalConfig {
  const list = config.layers;
  if (!Array.isArray(list) || !list.length) fail('FORMAT', `${where}: layers`, 'a list of layers', showValue(list));
  if (list.length > layerLimit) fail('FORMAT', `${where}: layers`, `at most ${layerLimit}`, String(list.length));
  const entries = new Map<string, Entry>();
  const nodes: Node[] = [];
  refuseMissing(list as Json[], reading, where);
  for (const [i, json] of (list as Json[]).entries()) {
    const name = String(json.name ?? (json.config as Json | undefined)?.name);
    const place = `${where}: layers[${i}] (${name})`;
    if (entries.has(name)) fail('FORMAT', place, 'layers of different names', `'${name}' twice`);
    const entry: Entry = { name, json, nodes: [], layer: null };
    const inbound = json.inbound_nodes ?? [];
    if (!Array.isArray(inbound)) fail('FORMAT', `${place}: inbound_nodes`, 'a list of calls', showValue(inbound));
    for (const node of inbound) entry.nodes.push(readNode(entry, node, place));
    if (!entry.nodes.length) entry.nodes.push({ layer: entry, args: [], kwargs: {}, outputs: null });
    entries.set(name, entry);
    nodes.push(...entry.nodes);
  }
  const nodeOf = ([name, call]: History, from: string): Node =>
    entries.get(name)?.nodes[call] ?? fail('FORMAT', from, 'a call that is there', `'${name}', call ${call}`);
  const tensorOf = (history: History, from: string): SymbolicTensor =>
    nodeOf(history, from).outputs?.[history[2]] ??
    fail('FORMAT', from, 'an output that is there', `output ${history[2]} of '${history[0]}'`);

  // Depth first, on a stack of its own; a node that is met again while open closes a cycle.
  const open = new Set<Node>();
  for (const start of nodes) {
    const stack: Node[] = [start];
    for (let node = stack.at(-1); node; node = stack.at(-1)) {
      const from = `${where}: ${node.layer.name}`;
      if (node.outputs) {
        stack.pop();
        continue;
      }
      const missing = placesIn([node.args, node.kwargs])
        .map(({ history }) => nodeOf(history, from))
        .find((source) => !source.outputs);
      if (missing) {
        open.add(node);
        if (open.has(missing))
          fail(
            'FORMAT',
            from,
            'layers that follow each other',
            `a cycle through '${missing.layer.name}'`,
            'No layer may depend on its own output.',
          );
        stack.push(missing);
        continue;
      }
      open.delete(node);
      node.outputs = runNode(node, (place) => tensorOf(place.history, from), reading, from);
      stack.pop();
    }
  }
  return {
    inputs: endsOf(config.input_layers, `${where}: input_layers`).map((h) => tensorOf(h, `${where}: input_layers`)),
    outputs: endsOf(config.output_layers, `${where}: output_layers`).map((h) => tensorOf(h, `${where}: output_layers`)),
  };
}

/** All classes that are missing, in one message, before any is made. */
function refuseMissing(list: readonly Json[], reading: KerasReading, where: string): void {
  const missing = list
    .filter((json) => isObject(json) && typeof json.class_name === 'string')
    .filter((json) =>
      isOperationJson(json) ? !kerasOperations.has(json.class_name as string) : reading.knows?.(json) === false,
    )
    .map((json) => String(json.class_name));
  if (missing.length < 2) return;
  fail(
    'UNSUPPORTED',
    where,
    'layers and operations that are there',
    [...new Set(missing)].join(', '),
    'Define them with `defineLayer`, and give them by `registerLayer(myLayer)` before reading.',
  );
}

const fill = (value: unknown, tensorOf: (place: Place) => SymbolicTensor): unknown => {
  if (value instanceof Place) return tensorOf(value);
  return Array.isArray(value) ? value.map((v) => fill(v, tensorOf)) : value;
};

const flat = (value: unknown): SymbolicTensor[] =>
  [value].flat(4).filter((x): x is SymbolicTensor => x instanceof SymbolicTensor);

/** Arguments of calls that hold tensors, in the order of our inputs. */
const inputWords = ['inputs', 'sequences', 'sequence', 'x', 'query', 'value', 'key', 'initial_state'];
/** Options of ours that Keras takes when a layer is called. */
const callWords: Readonly<Record<string, string>> = {
  use_causal_mask: 'useCausalMask',
  return_attention_scores: 'returnAttentionScores',
};

function runNode(
  node: Node,
  tensorOf: (place: Place) => SymbolicTensor,
  reading: KerasReading,
  where: string,
): readonly SymbolicTensor[] {
  const { name, json } = node.layer;
  const args = node.args.map((arg) => fill(arg, tensorOf));
  const kwargs = Object.fromEntries(Object.entries(node.kwargs).map(([key, value]) => [key, fill(value, tensorOf)]));
  if (isOperationJson(json)) {
    const className = String(json.class_name);
    const { name: _name, dtype: _dtype, ...options } = (json.config ?? {}) as Record<string, unknown>;
    const keep = className === 'Cast' || className === 'OneHot' ? { ...options, dtype: _dtype } : options;
    const parameters = kerasOperations.get(className)?.parameters ?? [];
    const rest: Record<string, unknown> = {};
    const own = [...args];
    for (const [key, value] of Object.entries(kwargs)) {
      const at = parameters.indexOf(key);
      if (at >= 0) own[at] = value;
      else rest[key] = value;
    }
    // Options may also be given as further arguments of the call.
    return kerasOperation(className, own, { ...keep, ...rest }, name);
  }
  const inputs = [...flat(args), ...inputWords.flatMap((word) => flat(kwargs[word] ?? null))];
  const options: Record<string, unknown> = {};
  const masks: (SymbolicTensor | null)[] = inputs.map(() => null);
  for (const [key, value] of Object.entries(kwargs)) {
    if (inputWords.includes(key) || key === 'training' || value === null || value === undefined) continue;
    if (key === 'mask') {
      const given = Array.isArray(value) ? value : [value];
      given.forEach((mask, i) => {
        if (mask instanceof SymbolicTensor && i < masks.length) masks[i] = mask;
      });
    } else if (/^(query|value|key)_mask$/.test(key) && value instanceof SymbolicTensor) {
      const at = ['query', 'value', 'key'].indexOf(key.slice(0, -5));
      if (at < masks.length) masks[at] = value;
    } else if (callWords[key]) options[callWords[key]] = value;
    else if (value !== false && value !== 0)
      fail('UNSUPPORTED', where, 'calls with inputs, initial_state and mask', `${key}: ${showValue(value)}`);
  }
  node.layer.layer ??= layerFromKeras(
    { ...json, config: { ...(json.config as Json), name } },
    reading,
    where,
    0,
    options,
  );
  return connect(node.layer.layer, inputs, masks, name);
}

// ---- writing

/** What a writer needs of a network. */
export interface WrittenNetwork {
  readonly layers: readonly { readonly layer: Layer; readonly name: string }[];
  readonly calls: readonly {
    readonly layer: number;
    readonly inputs: readonly { readonly call: number; readonly output: number }[];
    readonly masks?: readonly ({ readonly call: number; readonly output: number } | null)[];
    readonly shapes: readonly OpenShape[];
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
  const tensor = (r: { call: number; output: number }) => ({
    class_name: '__keras_tensor__',
    config: { shape: calls[r.call].shapes[r.output], dtype: 'float32', keras_history: history(r) },
  });
  const written = layers.map(({ layer, name: own }, index) => {
    const nodes = calls.filter((call) => call.layer === index);
    if (isOperation(layer)) {
      const { module, options, args } = operationToKeras(layer);
      const [call] = nodes;
      return {
        module,
        class_name: layer.className,
        config: { name: own, ...options },
        registered_name: layer.className,
        name: own,
        inbound_nodes: [{ args: args.map((arg) => writeArgument(arg, (i) => tensor(call.inputs[i]))), kwargs: {} }],
      };
    }
    const inbound = nodes
      .filter(({ inputs }) => inputs.length)
      .map(({ inputs, masks = [] }) => {
        const tensors = inputs.map(tensor);
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
            kwargs: { ...mask, ...(tensors.length > 1 && { initial_state: tensors.slice(1) }) },
          };
        const kwargs = { ...mask, ...callArguments(layer) };
        return { args: separate || tensors.length === 1 ? tensors : [tensors], kwargs };
      });
    return { ...write(layer, own), name: own, inbound_nodes: inbound };
  });
  const ends = (list: History[]) => (list.length === 1 ? list[0] : list);
  return {
    module: 'keras.src.models.functional',
    class_name: 'Functional',
    config: {
      name,
      trainable,
      layers: written,
      input_layers: ends(network.inputs.map(({ call }) => history({ call, output: 0 }))),
      output_layers: ends(network.outputs.map(history)),
    },
    registered_name: 'Functional',
  };
}

/** Options of ours that Keras takes when the layer is called. */
function callArguments({ config }: Layer): Json {
  return Object.fromEntries(
    Object.entries(callWords).flatMap(([keras, own]) => (config[own] === true ? [[keras, true]] : [])),
  );
}

function writeArgument(value: unknown, tensor: (input: number) => unknown): unknown {
  if (Array.isArray(value)) return value.map((v) => writeArgument(v, tensor));
  if (value === '...') return { class_name: '__ellipsis__', config: {} };
  if (isObject(value) && 'input' in value) return tensor(value.input as number);
  if (isObject(value) && 'slice' in value) return { class_name: '__slice__', config: value.slice };
  return value;
}

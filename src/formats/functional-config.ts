/**
 * Keras's configurations of models of any shape, of every generation: Keras 3 writes tensors as `__keras_tensor__` objects inside the
 * arguments of a call, Keras 2 as lists [name, call, output, kwargs]. Source: Keras 3, `keras/src/models/functional.py`; tf-keras,
 * `engine/functional.py`.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { layerFromKeras } from '../layers/from-keras.ts';
import { kerasOperations } from '../layers/keras-operations.ts';
import type { Layer } from '../layers/layer.ts';
import { kerasOperation } from '../layers/operation.ts';
import { type KerasReading, showValue } from '../layers/options.ts';
import { connect, SymbolicTensor } from '../layers/symbolic.ts';
import { tensorflowFunction, tensorflowOperation } from '../layers/tensorflow-operations.ts';
import { valuesLayer } from '../layers/values.ts';
import { isObject, isOperationJson, type Json } from './keras-json.ts';
import { refuseMissing } from './missing-classes.ts';

/** [name, call, output]. */
export type History = readonly [string, number, number];

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
export const separateInputs = new Set(['MultiHeadAttention', 'GroupQueryAttention']);

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
  if (value.class_name === '__numpy__' || value.class_name === '__tensor__') return numbers(value.config, where);
  if (value.class_name === '__slice__') return { slice: value.config };
  if (value.class_name === '__ellipsis__') return '...';
  if (value.class_name === '__tuple__') return readArguments(value.items ?? value.config, where);
  if ('class_name' in value) fail('UNSUPPORTED', where, 'tensors and plain values as arguments', showValue(value));
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, readArguments(v, where)]));
}

/** An array that stands among the arguments. */
function numbers(config: unknown, where: string): NdArray {
  const value = isObject(config) ? config.value : null;
  if (!Array.isArray(value) && typeof value !== 'number')
    fail('FORMAT', where, 'an array of numbers', showValue(config));
  const whole = isObject(config) && String(config.dtype).startsWith('int');
  return NdArray.from(value as number[], undefined, whole ? 'int32' : undefined);
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
  const firstCalls = firstCallsOf(config, entries, nodes, where);
  const nodeOf = ([name, call]: History, from: string, isEnd = false): Node =>
    entries.get(name)?.nodes[call - (firstCalls.get(name)?.[isEnd ? 'ends' : 'calls'] ?? 0)] ??
    fail('FORMAT', from, 'a call that is there', `'${name}', call ${call}`);
  const tensorOf = (history: History, from: string, isEnd = false): SymbolicTensor =>
    nodeOf(history, from, isEnd).outputs?.[history[2]] ??
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
  const ends = (key: 'input_layers' | 'output_layers') =>
    endsOf(config[key], `${where}: ${key}`).map((history) => tensorOf(history, `${where}: ${key}`, true));
  return { inputs: ends('input_layers'), outputs: ends('output_layers') };
}

const modelClasses = new Set(['Functional', 'Model', 'Sequential', 'Network']);

/**
 * The number that the first call of a model within the model has. Keras counts the model's own building as call 0: Keras 3 where the model
 * stands at an end, Keras 2 and tf-keras everywhere, but not for a Sequential that was built by its call.
 */
function firstCallsOf(
  config: Json,
  entries: ReadonlyMap<string, Entry>,
  nodes: readonly Node[],
  where: string,
): Map<string, { readonly calls: number; readonly ends: number }> {
  const inCalls = placesIn(nodes.map(({ args, kwargs }) => [args, kwargs])).map(({ history }) => history);
  const atEnds = (['input_layers', 'output_layers'] as const).flatMap((key) => endsOf(config[key], `${where}: ${key}`));
  const old = [...entries.values()].some(({ json }) => [json.inbound_nodes ?? []].flat().some(Array.isArray));
  const first = new Map<string, { calls: number; ends: number }>();
  for (const { name, json, nodes: own } of entries.values()) {
    if (!modelClasses.has(String(json.class_name))) continue;
    const numbers = (list: readonly History[]) => list.filter((h) => h[0] === name).map((h) => h[1]);
    if (old) {
      // Every call that is written is looked at by someone.
      const from = numbers([...inCalls, ...atEnds]).includes(own.length) ? 1 : 0;
      first.set(name, { calls: from, ends: from });
    } else if (json.class_name !== 'Sequential') {
      const ends = numbers(atEnds);
      first.set(name, { calls: 0, ends: ends.length && !ends.includes(0) ? 1 : 0 });
    }
  }
  return first;
}

/** Numbers among initial states become part of the model. */
function statesIn(value: unknown, x: SymbolicTensor | undefined, where: string): unknown {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((state) => {
    if (!(state instanceof NdArray)) return state;
    if (!x) fail('FORMAT', where, 'an input beside initial_state', 'none');
    return connect(valuesLayer(state), [x], [null], `${where}: initial_state`)[0];
  });
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
export const callWords: Readonly<Record<string, string>> = {
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
  const named = tensorflowFunction(json);
  if (named !== null) return tensorflowOperation(named, args[0], kwargs, name);
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
    return kerasOperation(className, own, { ...keep, ...rest }, name, json.keeps_mask === true);
  }
  if (kwargs.initial_state) kwargs.initial_state = statesIn(kwargs.initial_state, flat(args)[0], where);
  const inputs = [...flat(args), ...inputWords.flatMap((word) => flat(kwargs[word] ?? null))];
  const options: Record<string, unknown> = {};
  let training: boolean | null = null;
  if (kwargs.attention_mask instanceof SymbolicTensor) {
    if (inputs.length === 2) inputs.push(inputs[1]);
    inputs.push(kwargs.attention_mask);
  }
  const masks: (SymbolicTensor | null)[] = inputs.map(() => null);
  for (const [key, value] of Object.entries(kwargs)) {
    if (inputWords.includes(key) || value === null || value === undefined) continue;
    if (key === 'training') training = Boolean(value);
    else if (key === 'attention_mask' && value instanceof SymbolicTensor) continue;
    else if (key === 'mask') {
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
  node.layer.layer ??= layerFromKeras({ ...json, config: { ...(json.config as Json), name } }, reading, where);
  const { definition } = node.layer.layer;
  for (const [key, value] of Object.entries(options)) {
    if (definition.options[key]) continue;
    if (value === false) delete options[key];
    else fail('UNSUPPORTED', where, 'a layer that takes it', `${key}: ${showValue(value)}`);
  }
  if (kwargs.attention_mask instanceof SymbolicTensor && !definition.takesAttentionMask)
    fail('UNSUPPORTED', where, 'an attention layer with heads', 'attention_mask');
  return connect(node.layer.layer, inputs, masks, name, { options, training });
}

/** What users hand in, checked and brought into the form of feeds. Every refusal names the place and keeps the model as it was. */
import { type ArrayInput, NdArray, type NdArrayData } from '../core/array.ts';
import { fail, UnrolledError } from '../core/errors.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';
import type { FeedValue } from '../engine/compile.ts';
import type { Labels } from '../layers/losses/loss.ts';
import { showValue } from '../layers/options.ts';
import { surelyFinite } from '../vm/finite.ts';
import type { OutputObjective } from './compilation.ts';
import { matchShape, type Network } from './network.ts';

/** An array, or for models of several inputs a list of them: nested lists, typed arrays, or `NdArray`. */
export type ModelData = ArrayInput | readonly ArrayInput[];

/** Arrays by the names of inputs or outputs. */
export interface NamedData {
  readonly [name: string]: ArrayInput | null;
}

/** What is given for each output: one array, a list in their order, null for those that have none, or an object by their names. */
export type OutputData = ModelData | readonly (ArrayInput | null)[] | NamedData;

/** Weights of classes by label: `{ 0: 1, 1: 3.5 }`. */
export type ClassWeight = Readonly<Record<number | string, number>>;

/** Rows of one feed. */
export interface Column {
  /** Of one sample. */
  readonly shape: Shape;
  readonly data: NdArrayData;
  /** Of an input: steps that hold nothing but this number are padding. */
  readonly padding?: number | null;
}

export interface Samples {
  readonly count: number;
  readonly inputs: readonly Column[];
  /** One per input; null: none. */
  readonly masks: readonly (Column | null)[];
  /** One per output; null: it has no loss. Empty where nothing is trained or measured. */
  readonly targets: readonly (Column | null)[];
  /** One per output; null: all entries count alike. */
  readonly weights: readonly (Column | null)[];
}

export function arrayOf(value: unknown, where: string): NdArray {
  if (value === undefined || value === null) fail('DATA', where, 'an array', showValue(value));
  try {
    return NdArray.from(value as ArrayInput);
  } catch (error) {
    if (error instanceof UnrolledError)
      throw new UnrolledError(error.code, `${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** `sample 3`, or `sample 3, position [17]`. */
function place(path: readonly number[]): string {
  return path.length > 1 ? `sample ${path[0]}, position [${path.slice(1).join(', ')}]` : `sample ${path[0] ?? 0}`;
}

function pathOf(flat: number, shape: Shape): number[] {
  const path: number[] = [];
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    path.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return path;
}

function refuseNonFinite(array: NdArray, where: string): void {
  if (surelyFinite(array.data)) return;
  const path = array.firstNonFinite();
  if (path) {
    let flat = 0;
    path.forEach((i, axis) => {
      flat = flat * array.shape[axis] + i;
    });
    fail(
      'DATA',
      `${where}, ${place(path)}`,
      'a finite number',
      String(array.data[flat]),
      'Remove or fill such values; mark missing steps by a mask.',
    );
  }
}

/** Whole numbers from 0 to below `below`. */
function indices(array: NdArray, below: number, where: string, what: string, next: string): Int32Array {
  const { data } = array;
  for (let i = 0; i < data.length; i++) {
    const v = data[i];
    if (v >= 0 && v < below && Number.isInteger(v)) continue;
    fail('DATA', `${where}, ${place(pathOf(i, array.shape))}`, `${what} from 0 to ${below - 1}`, String(v), next);
  }
  return data instanceof Int32Array ? data : Int32Array.from(data);
}

const asFloats = (data: NdArrayData): NdArrayData => (data instanceof Int32Array ? Float32Array.from(data) : data);

function column(array: NdArray, data: NdArrayData): Column {
  return { shape: array.shape.slice(1), data };
}

const isNamed = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null);

/**
 * What is given for each input or output of the model: a list in their order, an object by their names, or one value for the only one.
 *
 * @param names null: not known yet
 * @param optional what an object may leave out: those are null
 */
export function listOf(
  value: unknown,
  names: readonly string[] | null,
  where: string,
  what: string,
  optional = false,
): unknown[] {
  const count = names?.length ?? 1;
  if (isNamed(value)) {
    const keys = Object.keys(value);
    const own = names ?? keys;
    const unknown = keys.filter((key) => !own.includes(key));
    const missing = own.filter((name) => !keys.includes(name));
    if (unknown.length || (missing.length && !optional) || own.length !== count)
      fail('DATA', where, `an array for each ${what}: ${own.join(', ')}`, keys.join(', ') || 'none');
    return own.map((name) => value[name] ?? null);
  }
  if (count === 1) return [value];
  if (!Array.isArray(value) || value.length !== count)
    fail(
      'DATA',
      where,
      `a list of ${count} arrays, one per ${what}, or an object by their names (${names?.join(', ')})`,
      Array.isArray(value) ? `a list of ${value.length}` : showValue(value),
    );
  return value;
}

/** The arrays of the inputs before any check of their values: enough to build a model from. */
export function inputArrays(x: unknown, network: Network | null, where: string): NdArray[] {
  const names = network?.inputs.map(({ name }) => name) ?? null;
  return listOf(x, names, where, 'input').map((value, i) => {
    const name = (names?.length ?? 1) === 1 ? `${where}: x` : `${where}: x[${i}]`;
    const array = arrayOf(value, name);
    if (array.rank === 0) fail('SHAPE', name, 'samples along the first axis', 'a single number');
    if (array.shape[0] === 0) fail('DATA', name, 'at least one sample', 'an empty data set');
    return array;
  });
}

/** The layers that look at an input, by name. */
const readersOf = ({ calls, layers, inputs }: Network, i: number): string[] =>
  calls.filter((call) => call.inputs.some((r) => r.call === inputs[i].call)).map(({ layer }) => layers[layer].name);

/** Checked inputs and masks. */
export function inputColumns(network: Network, arrays: readonly NdArray[], mask: unknown, where: string): Samples {
  const count = arrays[0].shape[0];
  const inputs = network.inputs.map((input, i) => {
    const array = arrays[i];
    const name = network.inputs.length === 1 ? `${where}: x` : `${where}: x[${i}] (${input.name})`;
    matchShape(input.shape, array.shape, name, readersOf(network, i));
    if (array.shape[0] !== count)
      fail('SHAPE', name, `${count} samples, as in the first input`, String(array.shape[0]));
    refuseNonFinite(array, name);
    if (input.range) {
      const next = `Layer '${input.range.layer}' has inputDim ${input.range.below}; raise it, or limit the vocabulary of the data.`;
      const checked = indices(array, input.range.below, name, 'an index', next);
      return { ...column(array, input.dtype === 'i32' ? checked : asFloats(array.data)), padding: input.padding };
    }
    return { ...column(array, asFloats(array.data)), padding: input.padding };
  });
  const masks =
    mask === undefined || mask === null ? inputs.map(() => null) : maskColumns(network, arrays, mask, where);
  return { count, inputs, masks, targets: [], weights: [] };
}

function maskColumns(network: Network, arrays: readonly NdArray[], mask: unknown, where: string): (Column | null)[] {
  const names = network.inputs.map(({ name }) => name);
  return listOf(mask, names, `${where}: mask`, 'input', true).map((value, i) => {
    if (value === null || value === undefined) return null;
    const array = arrayOf(truthNumbers(value), `${where}: mask`);
    const [count, length] = arrays[i].shape;
    if (array.rank !== 2 || array.shape[0] !== count || array.shape[1] !== length)
      fail(
        'SHAPE',
        `${where}: mask`,
        `${formatShape([count, length])}, one value per sample and step`,
        formatShape(array.shape),
        'Give 1 for each step that counts and 0 for each that is padding.',
      );
    const wrong = array.data.findIndex((v: number) => v !== 0 && v !== 1);
    if (wrong >= 0)
      fail('DATA', `${where}: mask, ${place(pathOf(wrong, array.shape))}`, '0 or 1', String(array.data[wrong]));
    return column(array, asFloats(array.data));
  });
}

/** Masks are also given as true and false. */
function truthNumbers(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return Array.isArray(value) ? value.map(truthNumbers) : value;
}

/** Checked targets. */
export function targetColumn(
  array: NdArray,
  objective: OutputObjective,
  classes: number,
  count: number,
  name: string,
): Column {
  if (array.shape[0] !== count) fail('SHAPE', name, `${count} samples, as in x`, `${array.shape[0]}`);
  refuseNonFinite(array, name);
  if (objective.loss.targets === 'indices') {
    const next = `The last layer has ${classes} classes; labels start at 0.`;
    const allowed = objective.loss.labels?.(objective.prediction);
    if (!allowed) return { shape: objective.target, data: indices(array, classes, name, 'a label', next) };
    return { shape: objective.target, data: labels(array, objective.target, allowed, name, next) };
  }
  return { shape: objective.target, data: asFloats(array.data) };
}

/** Whole numbers, each of which the loss takes where it stands. */
function labels(array: NdArray, target: Shape, { expected, test }: Labels, where: string, next: string): Int32Array {
  const { data } = array;
  const width = target[target.length - 1] ?? 1;
  for (let i = 0; i < data.length; i++)
    if (!Number.isInteger(data[i]) || !test(data[i], i % width))
      fail('DATA', `${where}, ${place(pathOf(i, array.shape))}`, expected, String(data[i]), next);
  return data instanceof Int32Array ? data : Int32Array.from(data);
}

/** Of weights of one sample, without axes of 1 at the end that the values do not have. */
function weightShape(own: Shape, values: Shape): Shape {
  const at = own.length - 1;
  const needless = own[at] === 1 && (own.length > values.length || values[at] !== 1);
  return needless ? weightShape(own.slice(0, -1), values) : own;
}

/** Sample and class weights as one column, or null where there are none. */
export function weightColumn(
  sampleWeight: unknown,
  classWeight: ClassWeight | undefined,
  objective: OutputObjective,
  target: Column,
  count: number,
  where: string,
): Column | null {
  const byClass = classWeight ? classColumn(classWeight, objective, target, count, where) : null;
  if (sampleWeight === undefined || sampleWeight === null) return byClass;
  const name = `${where}: sampleWeight`;
  const array = arrayOf(sampleWeight, name);
  const values = objective.entries;
  const own = weightShape(array.shape.slice(1), values);
  if (array.shape[0] !== count || own.length > values.length || own.some((d, i) => d !== values[i]))
    fail(
      'SHAPE',
      name,
      values.length ? `${formatShape([count])} or ${formatShape([count, ...values])}` : formatShape([count]),
      formatShape(array.shape),
    );
  refuseNonFinite(array, name);
  if (!byClass) return { shape: own, data: asFloats(array.data) };
  const perSample = sizeOf(own);
  const inner = sizeOf(byClass.shape);
  const data = Float32Array.from(
    byClass.data,
    (w, i) => w * array.data[Math.floor(i / inner) * perSample + Math.floor(((i % inner) * perSample) / inner)],
  );
  return { shape: byClass.shape, data };
}

function classColumn(
  classWeight: ClassWeight,
  objective: OutputObjective,
  target: Column,
  count: number,
  where: string,
): Column {
  const shape = objective.entries;
  if (objective.loss.wholeSequences || (!shape.length && objective.target.length > 1))
    fail(
      'UNSUPPORTED',
      `${where}: classWeight`,
      'a loss with one value per label',
      `the loss ${objective.loss.className}, which has one for many`,
      'Use sampleWeight.',
    );
  const entries = count * sizeOf(shape);
  const width = target.data.length / entries;
  const { classAxis = -1 } = objective.loss;
  if (width > 1 && classAxis !== -1 && classAxis !== objective.target.length)
    fail('UNSUPPORTED', `${where}: classWeight`, 'classes on the last axis', `axis ${classAxis}`, 'Use sampleWeight.');
  const data = new Float32Array(entries);
  for (let i = 0; i < entries; i++) {
    // One-hot targets: the index of the largest; single values: the value itself.
    let label = Math.round(target.data[i * width]);
    if (width > 1) {
      label = 0;
      for (let c = 1; c < width; c++) if (target.data[i * width + c] > target.data[i * width + label]) label = c;
    }
    const weight = classWeight[label] ?? 1;
    if (typeof weight !== 'number' || !Number.isFinite(weight))
      fail('DATA', `${where}: classWeight[${label}]`, 'a finite number', showValue(weight));
    data[i] = weight;
  }
  return { shape, data };
}

/** The first and the last part of a data set: what is trained on, and what is held out, taken before any shuffling. */
export function splitSamples(set: Samples, share: number, where: string): [Samples, Samples] {
  if (!(share > 0 && share < 1))
    fail('ARGUMENT', `${where}: validationSplit`, 'a share between 0 and 1', String(share));
  const at = Math.floor(set.count * (1 - share));
  if (at === 0 || at === set.count)
    fail(
      'DATA',
      `${where}: validationSplit`,
      'at least one sample on both sides',
      `${at} and ${set.count - at} of ${set.count}`,
    );
  return [rows(set, 0, at), rows(set, at, set.count)];
}

function rows(set: Samples, from: number, to: number): Samples {
  const cut = (c: Column): Column => ({
    ...c,
    data: c.data.subarray(from * sizeOf(c.shape), to * sizeOf(c.shape)) as NdArrayData,
  });
  return {
    count: to - from,
    inputs: set.inputs.map(cut),
    masks: set.masks.map((m) => m && cut(m)),
    targets: set.targets.map((t) => t && cut(t)),
    weights: set.weights.map((w) => w && cut(w)),
  };
}

/** The samples of `rows`, or else those from `from` to `to`. */
export function batchRows({ shape, data }: Column, rows: Int32Array | null, from: number, to: number): FeedValue {
  const size = sizeOf(shape);
  return rows ? { data, size, rows } : data.subarray(from * size, to * size);
}

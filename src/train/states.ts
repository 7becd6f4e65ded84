/**
 * The states that stateful layers keep between batches: leaves of the session, one set for each number of rows that has been seen. A model
 * holds the states of one number of rows at a time; resetting them all makes it free to take another.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { arrayOf } from './data.ts';
import { type Network, statesOf } from './network.ts';
import type { Session, Values } from './session.ts';

/** How the leaves of states begin. */
export const statePrefix = 'carried/';

/** The leaf of a state for so many rows. */
export const stateLeaf = (path: string, rows: number) => `${statePrefix}${path}@${rows}`;

function declareFor(session: Session, network: Network, rows: number): void {
  for (const { path, shape } of statesOf(network)) {
    const leaf = stateLeaf(path, rows);
    if (!session.has(leaf)) session.declare(leaf, [rows, ...shape]);
  }
}

/**
 * Makes room for the states of a batch. Throws STATE where the states of another number of rows are kept.
 *
 * @param keeps whether the step leaves states for the next one
 */
export function prepareStates(session: Session, network: Network, rows: number, keeps = true): void {
  const [first] = statesOf(network);
  if (!first) return;
  const held = session.stateRows;
  if (held !== null && held !== rows)
    fail(
      'STATE',
      first.path,
      `a batch of ${held} rows, whose states ${formatShape([held, ...first.shape])} are kept`,
      `one of ${rows} rows, which needs ${formatShape([rows, ...first.shape])}`,
      'Call model.resetStates() before batches of another size, or choose a batchSize that divides the number of samples.',
    );
  declareFor(session, network, rows);
  if (keeps) session.stateRows = rows;
}

/** Refuses data whose last batch is smaller than the others, before anything runs. */
export function checkEvenBatches(network: Network, count: number, batchSize: number, where: string): void {
  const [first] = statesOf(network);
  if (!first || count % batchSize === 0 || count < batchSize) return;
  fail(
    'SHAPE',
    `${where}: ${first.path}`,
    `a multiple of ${batchSize} samples, since ${first.path} keeps its state from batch to batch`,
    `${count}, which leave ${count % batchSize} for the last batch`,
    'Choose a batchSize that divides the number of samples, or leave samples out.',
  );
}

/** The kept states by path; empty where there are none yet. */
export function readStates(session: Session, network: Network): Record<string, NdArray> {
  const rows = session.stateRows;
  if (rows === null) return {};
  return Object.fromEntries(
    statesOf(network).map(({ path, shape }) => [
      path,
      NdArray.from(session.get(stateLeaf(path, rows)), [rows, ...shape]),
    ]),
  );
}

/** Sets states by path; those that are not named stay, or are zero where the number of rows is another one. Throws before anything changes. */
export function writeStates(session: Session, network: Network, given: Readonly<Record<string, unknown>>): void {
  const known = new Map(statesOf(network).map(({ path, shape }): [string, Shape] => [path, shape]));
  let rows: number | null = null;
  const arrays = Object.entries(given).map(([path, value]) => {
    const shape = known.get(path);
    if (!shape)
      fail(
        'ARGUMENT',
        'setStates',
        `states among ${[...known.keys()].join(', ') || 'none: no layer is stateful'}`,
        path,
      );
    const array = arrayOf(value, `setStates: ${path}`);
    rows ??= array.shape[0] ?? 0;
    const want = [rows, ...shape];
    if (!sameShape(array.shape, want)) fail('SHAPE', `setStates: ${path}`, formatShape(want), formatShape(array.shape));
    return { path, values: array.data instanceof Int32Array ? Float32Array.from(array.data) : array.data };
  });
  if (rows === null) return;
  if (session.stateRows !== rows) resetAll(session);
  declareFor(session, network, rows);
  session.stateRows = rows;
  for (const { path, values } of arrays) session.set(stateLeaf(path, rows), values);
}

function resetAll(session: Session): void {
  for (const name of session.names())
    if (name.startsWith(statePrefix)) session.set(name, new Float32Array(sizeOf(session.shapeOf(name))));
  session.stateRows = null;
}

/** Zeros in all states, after which batches of any size are taken; or in those of given rows and layers. */
export function resetStates(
  session: Session,
  network: Network,
  { rows, layer }: { readonly rows?: readonly number[]; readonly layer?: string },
): void {
  const states = statesOf(network).filter(({ path }) => layer === undefined || path.startsWith(`${layer}/`));
  if (layer !== undefined && !states.length)
    fail('ARGUMENT', 'resetStates: layer', 'the name of a stateful layer', `'${layer}'`);
  const held = session.stateRows;
  for (const row of rows ?? [])
    if (!Number.isInteger(row) || row < 0 || (held !== null && row >= held))
      fail('ARGUMENT', 'resetStates: rows', `rows from 0 to below ${held ?? 'the batch size'}`, String(row));
  if (held === null) return;
  if (rows === undefined && layer === undefined) {
    resetAll(session);
    return;
  }
  for (const { path, shape } of states) {
    const leaf = stateLeaf(path, held);
    const values = session.get(leaf);
    const size = sizeOf(shape);
    for (const row of rows ?? Array.from({ length: held }, (_, i) => i)) values.fill(0, row * size, (row + 1) * size);
    session.set(leaf, values);
  }
}

/** The states as a file holds them. */
export function statesToSave(session: Session, network: Network): ReadonlyMap<string, NamedTensor> {
  const states = Object.entries(readStates(session, network));
  return new Map(
    states.map(([path, { shape, data }]): [string, NamedTensor] => [path, { shape, data: data as Values }]),
  );
}

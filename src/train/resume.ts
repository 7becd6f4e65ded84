/** The values of a model for a snapshot, and back out of one. */
import { fail } from '../core/errors.ts';
import { formatShape, sameShape } from '../core/shape.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { type Network, statesOf } from './network.ts';
import type { Session } from './session.ts';
import type { DataSettings, SnapshotParts } from './snapshot.ts';
import { prepareStates, resetStates, stateLeaf, statePrefix } from './states.ts';
import { haltedLeaf } from './steps.ts';
import type { Trainer } from './trainer.ts';
import { isOtherWindow, placeWindows } from './windows.ts';

/** All values that training changes, by name: weights, those of the optimizer, recurrent states. */
export function valuesOf(session: Session): Map<string, NamedTensor> {
  const names = session.names().filter((name) => name !== haltedLeaf && !isStale(name, session.stateRows));
  return new Map(names.map((name) => [name, { shape: session.shapeOf(name), data: session.get(name) }]));
}

/** States of other numbers of rows than the one that is kept. */
function isStale(name: string, rows: number | null): boolean {
  return name.startsWith(statePrefix) && !name.endsWith(`@${rows}`);
}

const next = 'Make the model, compile it and call fit as the interrupted run did.';

/** Puts the values back. Throws FORMAT, before anything changes, where they are those of another model or optimizer. */
export function restoreValuesOf(
  session: Session,
  network: Network,
  trainer: Trainer,
  parts: SnapshotParts,
  where: string,
): void {
  trainer.declareSlots();
  placeWindows(session, parts.values);
  const isOther = (name: string) => name.startsWith(statePrefix) || isOtherWindow(name, parts.values);
  const lasting = session.names().filter((name) => name !== haltedLeaf && !isOther(name));
  for (const name of lasting) {
    const stored = parts.values.get(name);
    if (!stored) fail('FORMAT', where, `the values of '${name}'`, 'a snapshot without them', next);
    if (!sameShape(stored.shape, session.shapeOf(name)))
      fail('FORMAT', `${where}: ${name}`, formatShape(session.shapeOf(name)), formatShape(stored.shape), next);
  }
  const states = statesOf(network).map(({ path }) => stateLeaf(path, parts.stateRows ?? 0));
  for (const name of parts.values.keys())
    if (!lasting.includes(name) && !states.includes(name))
      fail('FORMAT', where, 'values that this model has', `'${name}'`, next);
  resetStates(session, network, {});
  if (parts.stateRows !== null) prepareStates(session, network, parts.stateRows);
  for (const [name, { data }] of parts.values)
    session.set(name, data instanceof Int32Array ? Float32Array.from(data) : data);
  session.set(haltedLeaf, Float32Array.of(0));
}

/** Throws ARGUMENT where the run that goes on is not the one that was interrupted. */
export function checkSame(
  parts: SnapshotParts,
  now: { readonly seed: number; readonly optimizer: string; readonly data: DataSettings },
  where: string,
): void {
  const differ = (what: string, wanted: unknown, given: unknown): void => {
    if (wanted !== given) fail('ARGUMENT', `${where}: ${what}`, `${wanted}, as in the snapshot`, String(given), next);
  };
  differ('seed of the model', parts.seed, now.seed);
  differ('optimizer', parts.optimizer, now.optimizer);
  differ('shuffle', parts.data.shuffle, now.data.shuffle);
  // Between two passes the data may be another.
  if (!parts.position.pass) return;
  differ('samples', parts.data.samples, now.data.samples);
  differ('batchSize', parts.data.batchSize, now.data.batchSize);
  differ('stepsPerEpoch', parts.data.stepsPerEpoch, now.data.stepsPerEpoch);
  differ('window of tbptt', parts.data.tbptt?.window ?? 'none', now.data.tbptt?.window ?? 'none');
  differ('stride of tbptt', parts.data.tbptt?.stride ?? 'none', now.data.tbptt?.stride ?? 'none');
}

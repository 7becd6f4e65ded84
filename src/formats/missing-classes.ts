/** What a configuration names and this library does not have, before any of it is made. */
import { fail } from '../core/errors.ts';
import { kerasOperations } from '../layers/keras-operations.ts';
import type { KerasReading } from '../layers/options.ts';
import { knowsTensorflow, tensorflowFunction } from '../layers/tensorflow-operations.ts';
import { isObject, isOperationJson, type Json } from './keras-json.ts';

/** Models and layers within each other of which the rest is left to the reader. */
const depthLimit = 100;

/** The layers that stand in a layer: those of a model, and the ones that a wrapper holds. */
function partsOf({ config }: Json): readonly unknown[] {
  if (Array.isArray(config)) return config;
  if (!isObject(config)) return [];
  return [...(Array.isArray(config.layers) ? config.layers : []), config.layer, config.backward_layer];
}

function missingIn(list: readonly unknown[], reading: KerasReading, depth = 0): string[] {
  if (depth > depthLimit) return [];
  return list.flatMap((json) => {
    if (!isObject(json) || typeof json.class_name !== 'string') return [];
    const named = tensorflowFunction(json);
    if (named !== null) return knowsTensorflow(named) ? [] : [`tf.${named}`];
    const there = isOperationJson(json) ? kerasOperations.has(json.class_name) : reading.knows?.(json) !== false;
    if (there) return missingIn(partsOf(json), reading, depth + 1);
    const registered = json.registered_name;
    return [typeof registered === 'string' && registered.includes('>') ? registered : json.class_name];
  });
}

/** Throws UNSUPPORTED with all of them in one message; a single one is left to the reader, which knows its place. */
export function refuseMissing(list: readonly unknown[], reading: KerasReading, where: string): void {
  const missing = [...new Set(missingIn(list, reading))];
  if (missing.length < 2) return;
  fail(
    'UNSUPPORTED',
    where,
    'layers and operations that are there',
    missing.join(', '),
    'Define them with `defineLayer`, and give them by `registerLayer(myLayer)` before reading.',
  );
}

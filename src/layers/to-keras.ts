/** A layer as an object of Keras 3's configuration. */
import type { Layer } from './layer.ts';
import { optionsToKeras } from './options.ts';

/**
 * `{ module, class_name, config, registered_name }`, under the name that the model gave. Throws UNSUPPORTED for what Keras has no name for
 * (a function as activation, a cell of one's own is written under its class name).
 */
export function layerToKeras(layer: Layer, name: string): Record<string, unknown> {
  const { definition, config, className } = layer;
  if (definition.writeKeras) return definition.writeKeras(layer, name);
  const json: Record<string, unknown> = { ...optionsToKeras(definition.options, config, className), name };
  return {
    module: definition.keras?.module ?? 'keras.layers',
    class_name: className,
    config: definition.kerasConfig?.(config, json) ?? json,
    registered_name: definition.keras?.registeredName ?? null,
  };
}

/** Models as Keras 3's configurations, the models within them included. */
import { functionalToKeras } from '../formats/functional-config.ts';
import { sequentialToKeras } from '../formats/keras-config.ts';
import type { Layer } from '../layers/layer.ts';
import { layerToKeras } from '../layers/to-keras.ts';
import type { Architecture } from './model-options.ts';
import { nestedModelOf } from './nested.ts';
import type { Network } from './network.ts';

function write(layer: Layer, name: string): Record<string, unknown> {
  const inner = nestedModelOf(layer);
  if (!inner) return layerToKeras(layer, name);
  return modelToKeras(name, inner.architecture, inner.architecture.arrange(null), null, layer.trainable);
}

/** @param network null: the shape of the input is not known yet */
export function modelToKeras(
  name: string,
  architecture: Architecture,
  network: Network | null,
  compile: Readonly<Record<string, unknown>> | null,
  trainable = true,
): Record<string, unknown> {
  if (architecture.className === 'Sequential' || !network)
    return sequentialToKeras(name, architecture.layers, network?.inputs[0].shape ?? null, compile, write, trainable);
  return { ...functionalToKeras(name, network, trainable, write), ...(compile && { compile_config: compile }) };
}

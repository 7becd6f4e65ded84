/** Models as Keras 3's configurations, the models within them included. */
import { functionalToKeras } from '../formats/functional-writer.ts';
import { sequentialToKeras } from '../formats/keras-config.ts';
import { layerToKeras } from '../layers/to-keras.ts';
import type { Architecture } from './model-options.ts';
import type { Network } from './network.ts';

/** @param network null: the shape of the input is not known yet */
export function modelToKeras(
  name: string,
  architecture: Architecture,
  network: Network | null,
  compile: Readonly<Record<string, unknown>> | null,
  trainable = true,
): Record<string, unknown> {
  if (architecture.className === 'Sequential' || !network)
    return sequentialToKeras(
      name,
      architecture.layers,
      network?.inputs[0].shape ?? null,
      compile,
      layerToKeras,
      trainable,
    );
  return { ...functionalToKeras(name, network, trainable, layerToKeras), ...(compile && { compile_config: compile }) };
}

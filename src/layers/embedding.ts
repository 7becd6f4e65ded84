/** A vector for every index. */
import { gather } from '../ops/gather.ts';
import { mul, notEqual, toFloat, toInt } from '../ops/pointwise.ts';
import { constraintOption } from './constraints.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { flag, positiveInteger } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

/**
 * Turns indices into vectors: (B, T) of whole numbers below `inputDim` to (B, T, `outputDim`). With `maskZero`, index 0 is padding and is
 * masked in all that follows. An index outside of it is an error that names its sample. Parameters: inputDim * outputDim. Keras: Embedding.
 *
 * @example layers.embedding({ inputDim: 10_000, outputDim: 32, maskZero: true })
 */
export const embedding = defineLayer({
  className: 'Embedding',
  inputType: 'i32',
  inputRange: ({ inputDim }) => ({ below: inputDim }),
  options: {
    /** Size of the vocabulary: the largest index plus one. */
    inputDim: positiveInteger(),
    /** Size of a vector. */
    outputDim: positiveInteger(),
    /** Default: uniform within 0.05. */
    embeddingsInitializer: initializerOption('randomUniform'),
    /** Added to the loss. Default none, as of the next two. */
    embeddingsRegularizer: regularizerOption(),
    /** Of the output, divided by the batch size. */
    activityRegularizer: regularizerOption(),
    /** Holds after every step of the optimizer. */
    embeddingsConstraint: constraintOption(),
    /** Index 0 is padding. Default false. */
    maskZero: flag(false),
  },
  weights: (config) => {
    const { inputDim, outputDim, embeddingsInitializer } = config;
    const weight = plainWeight('embeddings', [inputDim, outputDim], embeddingsInitializer);
    return [ruledWeight(weight, config.embeddingsRegularizer, config.embeddingsConstraint)];
  },
  outputs: ({ outputDim }, [shape]) => [[...shape, outputDim]],
  call({ maskZero }, { inputs: [ids], masks: [given], weights }) {
    const own = maskZero && ids.rank >= 2 ? notEqual(toFloat(ids), 0) : null;
    const mask = own && given ? mul(own, given) : (own ?? given);
    return { outputs: [gather(weights.embeddings, toInt(ids))], masks: [mask] };
  },
});

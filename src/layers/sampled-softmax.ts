/**
 * The last layer of a model over a large vocabulary: in training, the loss looks at some drawn classes instead of all.
 * Jean, Cho, Memisevic and Bengio, "On using very large target vocabulary for neural machine translation" (2015).
 */
import { matmulNT } from '../ops/matmul.ts';
import { add, div, exp, floor, log, log1p, minimum, mul, sub, toFloat, toInt } from '../ops/pointwise.ts';
import { softmax } from '../ops/softmax.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { knownSize } from './axes.ts';
import { constraintOption } from './constraints.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { flag, positiveInteger, seedOption } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

/**
 * How often a class is expected among the draws, as a logarithm. Class k is drawn with the probability log((k + 2) / (k + 1)) / log(V + 1)
 * (TensorFlow's log-uniform sampler: for classes in the order of their frequency). Where there are as many draws as classes, every class
 * is drawn once.
 */
export function logExpectedCount(classes: Tensor, draws: number, vocabulary: number): Tensor {
  if (draws >= vocabulary) return mul(classes, 0);
  const share = mul(log1p(div(1, add(classes, 1))), draws / Math.log(vocabulary + 1));
  return log(share);
}

/** The drawn classes: the i-th one lies in the i-th of `draws` equal parts of the distribution, so that the draws are spread evenly. */
export function drawnClasses(chance: Tensor, draws: number, vocabulary: number): Tensor {
  const place = Float64Array.from({ length: draws }, (_, i) => i);
  const share = mul(add(chance, constant(chance.graph, place, [draws])), 1 / draws);
  const classes = floor(sub(exp(mul(share, Math.log(vocabulary + 1))), 1));
  return toInt(minimum(classes, vocabulary - 1));
}

/**
 * Class probabilities softmax(x kernel' + bias) over `units` classes: (B, ..., F) to (B, ..., units). With the loss `sampledSoftmax`, a step of
 * training looks at the targets and at `numSampled` classes drawn anew for each batch, the frequent ones more often: classes are to be numbered
 * by their frequency, the most frequent first (as `text.Tokenizer` does). `predict` and `evaluate` use all classes. With any other
 * loss, and where `numSampled` is `units` or more, it is exact. A mask goes on. Parameters: units (F + 1).
 *
 * In training, metrics over the predictions compute all classes, which costs what the sampling saves.
 *
 * @example
 * const model = sequential([..., layers.lstm({ units: 128 }), layers.sampledSoftmax({ units: 50_000, numSampled: 200 })]);
 * model.compile({ optimizer: 'adagrad', loss: 'sampledSoftmax' });
 */
export const sampledSoftmax = defineLayer({
  className: 'SampledSoftmax',
  options: {
    /** The number of classes. */
    units: positiveInteger(),
    /** How many classes are drawn for a batch. */
    numSampled: positiveInteger(),
    /** Default true. */
    useBias: flag(true),
    /** Of the kernel (units, F), a row for every class. Default glorotUniform. */
    kernelInitializer: initializerOption('glorotUniform'),
    /** Default zeros. */
    biasInitializer: initializerOption('zeros'),
    kernelRegularizer: regularizerOption(),
    biasRegularizer: regularizerOption(),
    kernelConstraint: constraintOption(),
    biasConstraint: constraintOption(),
    /** Of the draws. Default: the model's. */
    seed: seedOption(),
  },
  weights(config, [shape], path) {
    const { units, useBias, kernelInitializer, biasInitializer } = config;
    const kernel = plainWeight('kernel', [units, knownSize(shape, shape.length - 1, path)], kernelInitializer);
    const bias = plainWeight('bias', [units], biasInitializer);
    return [
      ruledWeight(kernel, config.kernelRegularizer, config.kernelConstraint),
      ...(useBias ? [ruledWeight(bias, config.biasRegularizer, config.biasConstraint)] : []),
    ];
  },
  outputs: ({ units }, [shape]) => [[...shape.slice(0, -1), units]],
  call({ units, numSampled, seed }, { inputs: [x], masks, weights: { kernel, bias }, training, random }) {
    const product = matmulNT(x, kernel);
    const logits = bias ? add(product, bias) : product;
    const beside: Record<string, Tensor> = { features: x, kernel, logits, ...(bias && { bias }) };
    // All classes once are what draws without end come to.
    if (training && numSampled < units) {
      const candidates = drawnClasses(random.uniform([numSampled], seed), numSampled, units);
      beside.candidates = candidates;
      beside.logCounts = logExpectedCount(toFloat(candidates), numSampled, units);
    }
    return { outputs: [softmax(logits)], masks, beside: [beside] };
  },
});

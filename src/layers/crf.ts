/** A conditional random field over the steps of a sequence. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { chainDecode, chainMarginals } from '../ops/linear-chain.ts';
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { knownSize, needRank } from './axes.ts';
import { constraintOption } from './constraints.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { choice, flag, positiveInteger } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

const words = '(batch, time, features)';

/**
 * Tags for the steps of a sequence, chosen together: (B, T, F) to (B, T, units). A sequence of tags y scores
 *   start[y1] + sum over t of potentials[t, yt] + sum over t of transitions[y(t), y(t + 1)] + end[yT],
 * with potentials = x kernel + bias. Train it with the loss `crf`, as the last layer of the model.
 *
 * The output is, by the option `output`:
 * - `tags`: 1 at the tag of the best sequence, else 0 (found after Viterbi). `argmax` over the last axis gives the tags, and metrics
 *   (`accuracy`, entity scores) compare them with the targets;
 * - `marginals`: the probability of every tag at every step;
 * - `potentials`: as they are.
 *
 * Masked steps are left out wherever they stand (left, right, or within): the chain goes from one valid step to the next one, `start` holds
 * for the first and `end` for the last of them. Their output is 0. The mask goes on.
 *
 * Parameters: F units + units (useKernel, useBias) + units^2 + 2 units (useBoundary). Lafferty, McCallum and Pereira, "Conditional random
 * fields" (2001); Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging" (2015). TensorFlow Addons: CRF.
 *
 * @example
 * const model = sequential([
 *   layers.embedding({ inputDim: 10_000, outputDim: 64, maskZero: true }),
 *   layers.bidirectional({ layer: layers.lstm({ units: 64, returnSequences: true }) }),
 *   layers.crf({ units: 9 }),
 * ]);
 * model.compile({ optimizer: 'adam', loss: 'crf', metrics: ['accuracy'] });
 */
export const crf = defineLayer({
  className: 'CRF',
  options: {
    /** The number of tags. */
    units: positiveInteger(),
    /** Potentials are x kernel (+ bias); false: they are the input, which then has `units` features. Default true. */
    useKernel: flag(true),
    /** Default true; without a kernel there is none. */
    useBias: flag(true),
    /** Scores of the first and the last tag. Default true. */
    useBoundary: flag(true),
    /** What the layer gives. Default `tags`. */
    output: choice(['tags', 'marginals', 'potentials'], 'tags'),
    /** Default glorotUniform. */
    kernelInitializer: initializerOption('glorotUniform'),
    /** Default zeros. */
    biasInitializer: initializerOption('zeros'),
    /** Of the transitions, from the tag of the row to the tag of the column. Default orthogonal. */
    chainInitializer: initializerOption('orthogonal'),
    /** Of start and end. Default zeros. */
    boundaryInitializer: initializerOption('zeros'),
    kernelRegularizer: regularizerOption(),
    biasRegularizer: regularizerOption(),
    chainRegularizer: regularizerOption(),
    boundaryRegularizer: regularizerOption(),
    kernelConstraint: constraintOption(),
    biasConstraint: constraintOption(),
    chainConstraint: constraintOption(),
    boundaryConstraint: constraintOption(),
  },
  weights(config, [shape], path) {
    const { units, useKernel, useBias, useBoundary } = config;
    const features = knownSize(needRank(shape, 3, words, path), 2, path);
    if (!useKernel && features !== units)
      fail('SHAPE', path, `${units} features, one per tag, because useKernel is false`, formatShape(shape));
    const kernel = plainWeight('kernel', [features, units], config.kernelInitializer);
    const bias = plainWeight('bias', [units], config.biasInitializer);
    const chain = plainWeight('transitions', [units, units], config.chainInitializer);
    const boundary = (name: string) =>
      ruledWeight(
        plainWeight(name, [units], config.boundaryInitializer),
        config.boundaryRegularizer,
        config.boundaryConstraint,
      );
    return [
      ...(useKernel ? [ruledWeight(kernel, config.kernelRegularizer, config.kernelConstraint)] : []),
      ...(useKernel && useBias ? [ruledWeight(bias, config.biasRegularizer, config.biasConstraint)] : []),
      ruledWeight(chain, config.chainRegularizer, config.chainConstraint),
      ...(useBoundary ? [boundary('start'), boundary('end')] : []),
    ];
  },
  outputs: ({ units }, [shape], path) => [[...needRank(shape, 3, words, path).slice(0, 2), units]],
  call({ output }, { inputs: [x], masks: [mask], weights: { kernel, bias, transitions, start = null, end = null } }) {
    const product = kernel ? matmul(x, kernel) : x;
    const potentials = bias ? add(product, bias) : product;
    const chain = { potentials, transitions, start, end, mask };
    const y = output === 'tags' ? chainDecode(chain) : output === 'marginals' ? chainMarginals(chain) : potentials;
    return {
      outputs: [y],
      masks: [mask],
      beside: [{ potentials, transitions, ...(start && { start }), ...(end && { end }) }],
    };
  },
});

/** Perplexity of a language model: e to the mean crossentropy of a token. Jurafsky and Martin, "Speech and language processing", section 3.2. */

import { sizeOf } from '../../core/shape.ts';
import { mul, notEqual, select, toFloat, toInt } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { reshape } from '../../ops/shape.ts';
import { constant } from '../../ops/tensor.ts';
import { flag } from '../options.ts';
import { entryWeights } from './entries.ts';
import { metricFactory, ratio } from './metric.ts';
import { ignoreClassOption, lossFor } from './of-losses.ts';

/**
 * exp(sum of w * -log p(token) / sum of w): among how many tokens the model hesitates. 1 for a model that knows, V for one that guesses
 * among V. Every token that is neither masked nor of `ignoreClass` counts alike, in sequences of any length.
 *
 * Targets: indices (B) or (B, T), or one-hot rows, for predictions (B, V) or (B, T, V). `fromLogits` (default false) says that the
 * predictions are logits.
 */
export const perplexity = metricFactory(
  'Perplexity',
  { fromLogits: flag(false), ignoreClass: ignoreClassOption() },
  {
    targets: 'any',
    accumulate({ fromLogits, ignoreClass }, target, p, given) {
      const classes = p.shape[p.rank - 1];
      const oneHot = target.rank === p.rank && target.shape[target.rank - 1] === classes && classes > 1;
      const outer = p.shape.slice(0, -1);
      const y = oneHot ? toFloat(target) : reshape(toInt(target), outer);
      const key = oneHot ? 'categoricalCrossentropy' : 'sparseCategoricalCrossentropy';
      const values = lossFor(key, { fromLogits }).values(y, p);
      const valid = ignoreClass === null || oneHot ? null : notEqual(toFloat(y), ignoreClass);
      const own = entryWeights(outer, given);
      const weights = own && valid ? mul(own, valid) : (own ?? valid);
      if (!weights) return { total: sum(values), count: constant(p.graph, sizeOf(outer)) };
      return { total: sum(select(weights, mul(values, weights), 0)), count: sum(weights) };
    },
    result: (_config, { total, count }) => Math.exp(ratio(total[0], count[0])),
  },
);

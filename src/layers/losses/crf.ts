/** The loss of `layers.crf`. */
import { fail } from '../../core/errors.ts';
import { formatShape, type Shape } from '../../core/shape.ts';
import { oneHot } from '../../ops/gather.ts';
import { type Chain, chainLogPartition, chainScore } from '../../ops/linear-chain.ts';
import { mul, notEqual, sub, toFloat } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { option } from '../options.ts';
import { labelsBelow } from './classes.ts';
import { defineLoss } from './loss.ts';

/** What `layers.crf` hands over. */
function chainBeside(beside: Readonly<Record<string, Tensor>>, where: string): Omit<Chain, 'mask'> {
  const { potentials, transitions, start = null, end = null } = beside;
  if (!potentials || !transitions)
    fail(
      'ARGUMENT',
      where,
      'a model whose output comes from layers.crf itself',
      'the output of another layer',
      'End the model with layers.crf({ units: tags }), and put nothing after it.',
    );
  return { potentials, transitions, start, end };
}

/**
 * -log of the probability of the tags of a row, for models that end in `layers.crf`. Targets (B, T) are tags, one per step; what stands at
 * masked steps does not matter. One value per row, whatever its length.
 *
 * @example model.compile({ optimizer: 'adam', loss: 'crf', metrics: ['accuracy'] });
 */
export const crf = defineLoss({
  className: 'CRF',
  targets: 'indices',
  wholeSequences: true,
  options: {
    /** Steps with this tag (any whole number, also one that is no tag) are left out as if they were masked. Default null: none. */
    ignoreClass: option<number | null>('a whole number, or null', (v) => v === null || Number.isInteger(v), null),
  },
  targetShape(_config, prediction: Shape) {
    if (prediction.length !== 2)
      fail('SHAPE', 'losses.CRF', 'predictions (batch, time, tags)', formatShape([null, ...prediction]));
    return prediction.slice(0, -1);
  },
  entries: () => [],
  labels: ({ ignoreClass }, [, tags]) => labelsBelow(tags, ignoreClass, 'tag'),
  values({ ignoreClass }, target, _prediction, { mask, beside }) {
    const given = chainBeside(beside, 'losses.CRF');
    const counts = ignoreClass === null ? null : notEqual(toFloat(target), ignoreClass);
    const chain = { ...given, mask: counts && mask ? mul(counts, mask) : (counts ?? mask) };
    const tags = oneHot(target, given.potentials.shape[2]);
    return sub(chainLogPartition(chain), chainScore(chain, tags));
  },
});

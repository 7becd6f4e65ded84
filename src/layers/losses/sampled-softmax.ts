/** The loss of `layers.sampledSoftmax`. */
import { fail } from '../../core/errors.ts';
import { gather, oneHot } from '../../ops/gather.ts';
import { matmulNT } from '../../ops/matmul.ts';
import { add, equal, exp, log, mul, neg, select, sub, toFloat } from '../../ops/pointwise.ts';
import { max, sum } from '../../ops/reduce.ts';
import { concat, reshape, slice, stopGradient } from '../../ops/shape.ts';
import { logSoftmax } from '../../ops/softmax.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { logExpectedCount } from '../sampled-softmax.ts';
import { defineLoss } from './loss.ts';

/** The logit of a class that is left out: finite, so that differences are not NaN. */
const never = -1e30;

/** Windows of truncated training hold more steps than targets: the new steps are the last ones. */
function lastSteps(x: Tensor, target: Tensor): Tensor {
  const more = target.rank > 1 ? x.shape[1] - target.shape[1] : 0;
  if (!more) return x;
  const start = x.shape.map((_, i) => (i === 1 ? more : 0));
  return slice(
    x,
    start,
    x.shape.map((d, i) => d - start[i]),
  );
}

/**
 * Crossentropy over the target's class and the classes that `layers.sampledSoftmax` drew for the batch, in training; over all classes
 * where it is measured (`evaluate`, validation, `lossAndGradients`). Targets are class indices. From every logit the logarithm of the
 * number of times that its class is expected among the draws is subtracted; draws that hit the target do not count. So the values in
 * training are not those of the full crossentropy; only the direction of the gradient is.
 *
 * Jean, Cho, Memisevic and Bengio, "On using very large target vocabulary for neural machine translation" (2015), section 3.
 * TensorFlow: `tf.nn.sampled_softmax_loss` with `remove_accidental_hits`.
 *
 * @example model.compile({ optimizer: 'adagrad', loss: 'sampledSoftmax' });
 */
export const sampledSoftmax = defineLoss({
  className: 'SampledSoftmax',
  targets: 'indices',
  options: {},
  values(_config, target, prediction, { beside }) {
    const { features, kernel, bias, logits, candidates, logCounts } = beside;
    if (!features || !kernel || !logits)
      fail(
        'ARGUMENT',
        'losses.SampledSoftmax',
        'a model whose output comes from layers.sampledSoftmax itself',
        'the output of another layer',
        'End the model with layers.sampledSoftmax({ units: classes, numSampled: 100 }), and put nothing after it.',
      );
    if (!candidates || !logCounts) {
      const hot = oneHot(target, prediction.shape[prediction.rank - 1]);
      return neg(sum(mul(hot, logSoftmax(lastSteps(logits, target))), { axes: [-1] }));
    }
    const [classes, width] = kernel.shape;
    const x = reshape(lastSteps(features, target), [-1, width]);
    const [rows] = x.shape;
    const labels = reshape(target, [rows]);
    const biasOf = (ids: typeof labels) => reshape(gather(reshape(bias, [classes, 1]), ids), [ids.shape[0]]);

    const own = sum(mul(x, gather(kernel, labels)), { axes: [-1] });
    const right = sub(
      bias ? add(own, biasOf(labels)) : own,
      logExpectedCount(toFloat(labels), candidates.shape[0], classes),
    );
    const products = matmulNT(x, gather(kernel, candidates));
    const drawn = sub(bias ? add(products, biasOf(candidates)) : products, logCounts);
    const hits = equal(reshape(toFloat(labels), [rows, 1]), reshape(toFloat(candidates), [1, candidates.shape[0]]));
    const all = concat([reshape(right, [rows, 1]), select(hits, never, drawn)], -1);
    const top = stopGradient(max(all, { axes: [-1], keepDims: true }));
    const total = add(log(sum(exp(sub(all, top)), { axes: [-1] })), reshape(top, [rows]));
    return reshape(sub(total, right), target.shape);
  },
});

/**
 * Muon: momentum, made orthogonal. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); scaled to Adam's size as
 * in Liu et al., "Muon is scalable for LLM training" (2025).
 */
import { fail } from '../../core/errors.ts';
import { finiteNumber, flag, fraction, option, positiveNumber, showValue } from '../../layers/options.ts';
import { matmul, matmulNT, matmulTN } from '../../ops/matmul.ts';
import { add, div, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { adamRate, adamUpdate } from './adam.ts';
import { defineOptimizer, type Update, weightDecayOption } from './optimizer.ts';

interface Coefficients {
  readonly muonA: number;
  readonly muonB: number;
  readonly muonC: number;
  readonly nsSteps: number;
}

/**
 * The matrix with singular values near 1 and the singular vectors of x, by Newton and Schulz's iteration. The square product is made on the
 * shorter side: x x^T for a wide matrix, x^T x for a tall one.
 */
function orthogonal(x: Tensor, { muonA, muonB, muonC, nsSteps }: Coefficients): Tensor {
  const [rows, columns] = x.shape;
  const tall = rows > columns;
  let next = div(x, add(sqrt(sum(square(x))), 1e-7));
  for (let k = 0; k < nsSteps; k++) {
    const a = tall ? matmulTN(next, next) : matmulNT(next, next);
    const b = add(mul(a, muonB), mul(matmul(a, a), muonC));
    next = add(mul(next, muonA), tall ? matmul(next, b) : matmul(b, next));
  }
  return next;
}

interface Choice {
  readonly excludeEmbeddings: boolean;
  readonly excludeLayers: readonly string[];
}

/** Whether Adam updates this weight: what is no matrix, embeddings, and what the user names. */
function usesAdam({ excludeEmbeddings, excludeLayers }: Choice, path: string, axes: number): boolean {
  if (axes !== 2) return true;
  if (excludeEmbeddings && path.toLowerCase().includes('embedding')) return true;
  return excludeLayers.some((pattern) => new RegExp(pattern).test(path));
}

const patterns = option<readonly string[] | null>(
  'a list of texts, or null',
  (v) => v === null || (Array.isArray(v) && v.every((one) => typeof one === 'string')),
  [],
);

/**
 * For matrices: m = momentum m + g; d = orthogonal(g + momentum m), or of m without `nesterov`; w -= lr d sqrt(max(rows, columns)) rmsRate.
 * Adam for all else: vectors, embeddings, and layers named in `excludeLayers`, where the layer that makes the output belongs.
 *
 * @example optimizers.muon({ excludeLayers: ['dense'] })
 */
export const muon = defineOptimizer({
  className: 'Muon',
  options: {
    /** For the weights that Adam updates. Default 0.9. */
    adamBeta1: { ...fraction(0.9), key: 'adam_beta_1' },
    /** Default 0.999. */
    adamBeta2: { ...fraction(0.999), key: 'adam_beta_2' },
    /** Decay of the weights that Adam updates. Default 0.004. */
    adamWeightDecay: weightDecayOption(0.004),
    /** Adam's. Default 1e-7. */
    epsilon: positiveNumber(1e-7),
    /** Decay of the matrices. Default 0.004. */
    weightDecay: weightDecayOption(0.004),
    /** Regular expressions, searched in the paths of weights. Default none. */
    excludeLayers: patterns,
    /** Default true. */
    excludeEmbeddings: flag(true),
    /** Default 3.4445. */
    muonA: finiteNumber(3.4445),
    /** Default -4.775. */
    muonB: finiteNumber(-4.775),
    /** Default 2.0315. */
    muonC: finiteNumber(2.0315),
    /** Adam's learning rate over Muon's. Default 1. */
    adamLrRatio: finiteNumber(1),
    /** Default 0.95. */
    momentum: finiteNumber(0.95),
    /** Default 5. */
    nsSteps: option<number>('a whole number from 0 on', (v) => Number.isInteger(v) && (v as number) >= 0, 5),
    /** Default true. */
    nesterov: flag(true),
    /** Null: the step is not scaled. Default 0.2. */
    rmsRate: option<number | null>(
      'a number, or null',
      (v) => v === null || (typeof v === 'number' && Number.isFinite(v)),
      0.2,
    ),
  },
  check({ excludeLayers }, where) {
    for (const pattern of excludeLayers ?? [])
      try {
        new RegExp(pattern);
      } catch {
        fail('ARGUMENT', `${where}.excludeLayers`, 'regular expressions', showValue(pattern));
      }
  },
  slots: (config, { path, shape }) => ({
    momentum: {},
    ...(usesAdam(choiceOf(config), path, shape.length) && { velocity: {} }),
  }),
  scalars: ({ adamBeta1, adamBeta2, adamLrRatio }, step, learningRate) => ({
    alpha: adamRate(adamBeta1, adamBeta2, step, learningRate * adamLrRatio),
  }),
  decay: (config, { path, shape }, common) =>
    usesAdam(choiceOf(config), path, shape.length) ? config.adamWeightDecay : common,
  update(config, context): Update {
    const { weight, gradient: g, slots, scalars } = context;
    if (slots.velocity) {
      const { adamBeta1: beta1, adamBeta2: beta2, epsilon } = config;
      return adamUpdate({ beta1, beta2, epsilon }, context);
    }
    const momentum = add(slots.momentum, add(g, mul(slots.momentum, config.momentum - 1)));
    const ahead = config.nesterov ? add(g, mul(momentum, config.momentum)) : momentum;
    const scale = config.rmsRate === null ? 1 : Math.sqrt(Math.max(...weight.shape)) * config.rmsRate;
    const step = mul(orthogonal(ahead, config), mul(scalars.learningRate, scale));
    return { weight: sub(weight, step), slots: { momentum } };
  },
});

function choiceOf(config: { excludeEmbeddings: boolean; excludeLayers: readonly string[] | null }): Choice {
  return { excludeEmbeddings: config.excludeEmbeddings, excludeLayers: config.excludeLayers ?? [] };
}

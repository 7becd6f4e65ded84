/**
 * What looks wrong in a model at work, and what to try: gradients that vanish or explode through time, layers that hardly learn, units that
 * are dead or never change, gates that are stuck. Rules of thumb with thresholds, not proofs.
 */
import type { NdArray } from '../core/array.ts';
import { type OptionsIn, type OptionsOut, option, parseOptions } from '../layers/options.ts';
import type { InspectedLayer, Inspection } from './inspect.ts';

const positive = (fallback: number) =>
  option<number>('a positive number', (v) => typeof v === 'number' && v > 0, fallback);
const share = (fallback: number) =>
  option<number>('a share from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, fallback);

export const thresholdOptions = {
  /** Vanishing: the norm of the gradient at the first step of a walk is below this share of the largest one. Default 1e-4. */
  vanishing: positive(1e-4),
  /** Exploding: it is above so many times that at the last step. Default 1e4. */
  exploding: positive(1e4),
  /** The gradient of the weights of a layer is below this share of the largest one of a layer. Default 1e-6. */
  tinyGradient: positive(1e-6),
  /** Share of the units of a layer that are 0 for the whole batch, or that never change. Default 0.5. */
  deadUnits: share(0.5),
  /** Share of the values of a gate that lie near an end of its range. Default 0.9. */
  saturated: share(0.9),
  /** How near, as a share of the range from 0 to 1. Default 0.02. */
  saturationMargin: share(0.02),
};

export type WatchThresholds = OptionsIn<typeof thresholdOptions>;

export type WarningKind =
  | 'vanishing gradient'
  | 'exploding gradient'
  | 'tiny gradient'
  | 'dead units'
  | 'constant units'
  | 'saturated';

export interface TrainingWarning {
  readonly kind: WarningKind;
  /** Path of the layer; of the model: its whole gradient. */
  readonly layer: string;
  /** What was measured: a ratio, or a share. */
  readonly value: number;
  /** Where, what, and what to try. */
  readonly message: string;
}

/** Walks shorter than this say nothing of time. */
const shortest = 8;
/** Units of fewer values than this may be equal by chance. */
const fewest = 16;

const short = (x: number) => Number(x.toPrecision(2)).toString();
const percent = (x: number) => `${Math.round(100 * x)}%`;

/** Steps with a valid row, in the order of the walk. */
function validSteps({ mask, goBackwards, states }: InspectedLayer): number[] {
  const [batch, length] = Object.values(states)[0].shape;
  const steps = Array.from({ length }, (_, t) => t).filter(
    (t) => !mask || Array.from({ length: batch }, (_, b) => mask.data[b * length + t]).some((v) => v !== 0),
  );
  return goBackwards ? steps.reverse() : steps;
}

type Thresholds = OptionsOut<typeof thresholdOptions>;

function throughTime(layer: InspectedLayer, { vanishing, exploding }: Thresholds): TrainingWarning[] {
  const norms = Object.values(layer.gradientNorms);
  if (!norms.length || !Object.keys(layer.states).length) return [];
  const steps = validSteps(layer);
  if (steps.length < shortest) return [];
  // A memory of several parts is as open as the most open of them.
  const at = (t: number) => Math.max(...norms.map((own) => own[t]));
  const [first, last] = [at(steps[0]), at(steps[steps.length - 1])];
  const largest = Math.max(...steps.map(at));
  if (!(largest > 0)) return [];
  const through = `over ${steps.length} steps, from ${short(last)} at the last to ${short(first)} at the first`;
  if (first / largest < vanishing)
    return [
      {
        kind: 'vanishing gradient',
        layer: layer.path,
        value: first / largest,
        message:
          `${layer.path}: the gradient vanishes ${through}: what happened early is not learnt. Try an LSTM or a GRU instead of a SimpleRNN, ` +
          "unitForgetBias, an IndRNN, recurrentInitializer: 'orthogonal' (or 'identity' with relu), shorter sequences, or attention.",
      },
    ];
  if (first > exploding * last && last > 0)
    return [
      {
        kind: 'exploding gradient',
        layer: layer.path,
        value: first / last,
        message:
          `${layer.path}: the gradient explodes ${through}. Try globalClipnorm: 1 in the optimizer, a smaller learningRate, ` +
          "recurrentInitializer: 'orthogonal', layer normalisation, or tbptt.",
      },
    ];
  return [];
}

/** Layers by the gradients of their weights. */
function tinyGradients({ weights }: Inspection, { tinyGradient }: Thresholds): TrainingWarning[] {
  const layers = new Map<string, number>();
  for (const { path, trainable, gradientNorm } of weights) {
    if (!trainable) continue;
    const layer = path.slice(0, path.lastIndexOf('/'));
    layers.set(layer, Math.hypot(layers.get(layer) ?? 0, gradientNorm));
  }
  const largest = Math.max(0, ...layers.values());
  return [...layers].flatMap(([layer, norm]): TrainingWarning[] =>
    largest > 0 && norm < tinyGradient * largest
      ? [
          {
            kind: 'tiny gradient',
            layer,
            value: norm / largest,
            message:
              `${layer}: its weights have a gradient of ${short(norm)}, ${short(norm / largest)} of the largest layer's: it hardly learns. Try layer ` +
              'normalisation, residual connections, another activation or initialiser, or a smaller number of layers.',
          },
        ]
      : [],
  );
}

interface Units {
  readonly zero: number;
  readonly constant: number;
  readonly count: number;
}

/** How many units of a value (B, ..., U) are zero, or the same, at all valid places. */
function unitsOf({ data, shape }: NdArray, mask: NdArray | null): Units | null {
  const count = shape[shape.length - 1];
  const places = data.length / Math.max(1, count);
  const masked = mask && shape.length === 3 && mask.data.length === places ? mask : null;
  const low = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  let seen = 0;
  for (let place = 0; place < places; place++) {
    if (masked && !masked.data[place]) continue;
    seen++;
    for (let u = 0; u < count; u++) {
      const x = data[place * count + u];
      if (x < low[u]) low[u] = x;
      if (x > high[u]) high[u] = x;
    }
  }
  if (seen < fewest) return null;
  const same = Array.from(low, (l, u) => high[u] - l <= 1e-7 * Math.max(Math.abs(l), Math.abs(high[u])));
  const zero = Array.from(low, (l, u) => l === 0 && high[u] === 0);
  return {
    count,
    zero: zero.filter(Boolean).length,
    constant: same.filter((own, u) => own && !zero[u]).length,
  };
}

function deadUnits(inspection: Inspection, { deadUnits: limit }: Thresholds): TrainingWarning[] {
  const warnings: TrainingWarning[] = [];
  let before = 0;
  for (const { path, className, outputs, states, mask } of inspection.layers) {
    const walked = Object.values(states)[0];
    const value = walked ?? outputs[0];
    if (!value || value.rank < 2 || className === 'InputLayer') continue;
    const units = unitsOf(value, mask);
    if (!units) continue;
    const dead = units.zero / units.count;
    // What a layer passes on is told of where it began.
    if (dead > 0 && dead >= limit && dead > before)
      warnings.push({
        kind: 'dead units',
        layer: path,
        value: dead,
        message:
          `${path}: ${units.zero} of ${units.count} units are 0 for the whole batch, and learn nothing. Try a smaller learningRate, leakyRelu or elu ` +
          'instead of relu, or a positive biasInitializer.',
      });
    const stuck = units.constant / units.count;
    if (stuck > 0 && stuck >= limit && units.count > 1)
      warnings.push({
        kind: 'constant units',
        layer: path,
        value: stuck,
        message:
          `${path}: ${units.constant} of ${units.count} units have one value for the whole batch: they do not see the input. Look at its scale ` +
          '(standardise it), or try a smaller initialiser or learningRate.',
      });
    before = dead;
  }
  return warnings;
}

/** Share of the valid values near an end of the range: below, above. */
function nearEnds(values: NdArray, mask: NdArray | null, [low, high]: readonly [number, number], margin: number) {
  const { data, shape } = values;
  const size = data.length / Math.max(1, shape[0] * shape[1]);
  const near = margin * (high - low);
  let [below, above, count] = [0, 0, 0];
  for (let i = 0; i < data.length; i++) {
    if (mask && !mask.data[Math.floor(i / size)]) continue;
    count++;
    if (data[i] - low < near) below++;
    else if (high - data[i] < near) above++;
  }
  return { below: below / Math.max(1, count), above: above / Math.max(1, count) };
}

function saturation(layer: InspectedLayer, { saturated, saturationMargin }: Thresholds): TrainingWarning[] {
  const { path, mask, gates, states, ranges } = layer;
  const values = [
    ...Object.entries(states).map(([name, own]) => ({ name, what: `state ${name}`, own })),
    ...Object.entries(gates).map(([name, own]) => ({ name, what: `gate ${name}`, own })),
  ];
  return values.flatMap(({ name, what, own }): TrainingWarning[] => {
    const range = ranges[name];
    if (!range) return [];
    const { below, above } = nearEnds(own, mask, range, saturationMargin);
    if (below + above < saturated) return [];
    return [
      {
        kind: 'saturated',
        layer: path,
        value: below + above,
        message:
          `${path}: ${what} is saturated: ${percent(below)} of its values are near ${range[0]}, ${percent(above)} near ${range[1]}, where ` +
          'nothing flows back through it. Try inputs of a smaller scale (standardise them), a smaller learningRate or kernelInitializer, or layerNormalization: true.',
      },
    ];
  });
}

/** Checks thresholds. @param where for messages */
function checkThresholds(given: WatchThresholds | undefined, where: string): Thresholds {
  return parseOptions(thresholdOptions, given, where);
}

/**
 * What looks wrong in an inspection, with what to try. Gradients are judged where it has them (`y`).
 *
 * @example for (const { message } of diagnose(await inspect(model, x, { y }))) console.warn(message);
 */
export function diagnose(inspection: Inspection, thresholds?: WatchThresholds): TrainingWarning[] {
  const limits = checkThresholds(thresholds, 'diagnose');
  return [
    ...inspection.recurrent.flatMap((layer) => throughTime(layer, limits)),
    ...tinyGradients(inspection, limits),
    ...deadUnits(inspection, limits),
    ...inspection.recurrent.flatMap((layer) => saturation(layer, limits)),
  ];
}

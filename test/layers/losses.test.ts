/** Losses against Keras (test/golden/training.py): values, and gradients of the prediction, with masks, weights and smoothing. */
import { describe, expect, it } from 'vitest';
import { UnrolledError } from '../../src/core/errors.ts';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { losses, lossOf } from '../../src/layers/losses/all.ts';
import { type Loss, reduceLoss, targetShape } from '../../src/layers/losses/loss.ts';
import { metricOf, metrics } from '../../src/layers/metrics/all.ts';
import { constant } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import { readGolden } from '../golden/golden.ts';

type Nested = number | Nested[];
interface LossCase {
  title: string;
  loss: { class_name: string; config: Record<string, unknown> };
  y: Nested;
  p: Nested;
  mask: number[][] | null;
  weight: Nested | null;
  value: number;
  gradient: Nested;
}
const { losses: cases } = readGolden<{ losses: LossCase[] }>('training.json');

const flat = (x: Nested): number[] => (typeof x === 'number' ? [x] : x.flatMap(flat));
const shapeOf = (x: Nested): number[] => (typeof x === 'number' ? [] : [x.length, ...shapeOf(x[0])]);

async function evaluate(loss: Loss, c: LossCase, host: 'oracle' | undefined) {
  const space = new StateSpace(await openMachine(host ? { host } : {}));
  const step = compileStep(space, 'loss', (b) => {
    const p = b.input('p', shapeOf(c.p));
    const y = b.input('y', shapeOf(c.y), loss.targets === 'indices' ? 'i32' : 'f32');
    const mask = c.mask && b.input('mask', shapeOf(c.mask));
    const weight = c.weight === null ? null : b.input('weight', shapeOf(c.weight));
    const total = reduceLoss(loss.values(y, p), weight, mask);
    const [gradient] = gradients([total], [constant(b.graph, 1)], [p]);
    return { outputs: { total, gradient: gradient as NonNullable<typeof gradient> } };
  });
  const feed: Record<string, number[]> = { p: flat(c.p), y: flat(c.y) };
  if (c.mask) feed.mask = flat(c.mask);
  if (c.weight !== null) feed.weight = flat(c.weight);
  const [result] = await step.run([feed]);
  return { total: result.total[0], gradient: Array.from(result.gradient as Float64Array) };
}

describe.each([
  ['oracle', 1e-9],
  [undefined, 2e-5],
] as const)('losses on %s', (host, tolerance) => {
  it.each(cases)('$title', async (c) => {
    const loss = lossOf(c.loss, null, [null, 1]);
    const { total, gradient } = await evaluate(loss, c, host);
    expect(Math.abs(total - c.value)).toBeLessThan(tolerance * Math.max(1, Math.abs(c.value)));
    const expected = flat(c.gradient);
    const scale = Math.max(...expected.map(Math.abs));
    expected.forEach((g, i) => expect(Math.abs(gradient[i] - g)).toBeLessThan(tolerance * scale));
  });
});

it('smoothed labels are divided by the size of the last axis wherever the classes are, as Keras does', async () => {
  // Three classes down, two entries across.
  // biome-ignore format: as it is read
  const [p, y] = [[[[0.5, 0.2], [0.3, 0.7], [0.2, 0.1]]], [[[1, 0], [0, 0], [0, 1]]]];
  const given: LossCase = {
    title: '',
    loss: { class_name: '', config: {} },
    y,
    p,
    mask: null,
    weight: null,
    value: 0,
    gradient: 0,
  };
  const options = { axis: 1, labelSmoothing: 0.3 } as const;
  const plain = await evaluate(losses.categoricalCrossentropy(options), given, 'oracle');
  const focal = await evaluate(
    losses.categoricalFocalCrossentropy({ ...options, gamma: 1, alpha: 1 }),
    given,
    'oracle',
  );
  // Keras 3.15, CategoricalCrossentropy(label_smoothing=0.3, axis=1) and CategoricalFocalCrossentropy(..., gamma=1, alpha=1).
  expect(plain.total).toBeCloseTo(3.2633 / 2, 4);
  expect(focal.total).toBeCloseTo(2.5848 / 2, 4);
});

describe('names', () => {
  it('are found in every spelling, by alias, and by shapes', () => {
    for (const name of ['binaryCrossentropy', 'binary_crossentropy', 'BinaryCrossentropy', 'bce'])
      expect(lossOf(name, null, [null, 1]).className).toBe('BinaryCrossentropy');
    expect(lossOf('mse', null, [null, 1]).className).toBe('MeanSquaredError');
    expect(lossOf('crossentropy', [], [null, 5]).className).toBe('SparseCategoricalCrossentropy');
    expect(lossOf('crossentropy', [5], [null, 5]).className).toBe('CategoricalCrossentropy');
    expect(lossOf('crossentropy', [1], [null, 1]).className).toBe('BinaryCrossentropy');
  });
  it('that do not exist are answered with those that do', () => {
    expect(() => lossOf('binaryCrossentropi', null, [null, 1])).toThrow(/Did you mean 'binaryCrossentropy'/);
    expect(() => lossOf('wasserstein', null, [null, 1])).toThrow(/among binaryCrossentropy, categoricalCrossentropy/);
  });
  it('of accuracy are chosen by shapes, as in Keras', () => {
    expect(metricOf('accuracy', [1], [null, 1]).className).toBe('BinaryAccuracy');
    expect(metricOf('acc', [], [null, 3]).className).toBe('SparseCategoricalAccuracy');
    expect(metricOf('accuracy', [1], [null, 3]).className).toBe('SparseCategoricalAccuracy');
    expect(metricOf('accuracy', [3], [null, 3]).className).toBe('CategoricalAccuracy');
    expect(metrics.binaryAccuracy({ threshold: 0.7 }).config.threshold).toBe(0.7);
  });
});

describe('targets', () => {
  it('may miss or have a trailing axis of 1', () => {
    expect(targetShape(losses.binaryCrossentropy(), [], [1], 'y')).toEqual([1]);
    expect(targetShape(losses.sparseCategoricalCrossentropy(), [7, 1], [7, 4], 'y')).toEqual([7]);
  });
  it('of another shape are refused with the loss that would take them', () => {
    const refused = () => targetShape(losses.categoricalCrossentropy(), [7], [7, 4], 'fit: y');
    expect(refused).toThrow(UnrolledError);
    expect(refused).toThrow(
      "fit: y: expected targets (null, 7, 4) for predictions (null, 7, 4), received (null, 7). For class indices use loss: 'sparseCategoricalCrossentropy'.",
    );
    expect(() => targetShape(losses.sparseCategoricalCrossentropy(), [4], [4], 'y')).toThrow(/categoricalCrossentropy/);
  });
});

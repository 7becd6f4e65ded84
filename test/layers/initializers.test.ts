/** Starting values: limits and moments by Keras's formulas, exact orthogonality, and dependence on key, shape and seed alone. */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { kerasReading } from '../../src/layers/from-keras.ts';
import {
  initializerFromKeras,
  initializerOf,
  initializers,
  initializerToKeras,
} from '../../src/layers/initializers.ts';

const key = RandomKey.from(3);
const shape = [60, 200];
const values = (name: string) => Array.from(initializerOf(name, 'test').values(shape, key));
const deviation = (x: number[]) => Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length);

describe('distributions', () => {
  it.each([
    ['glorotUniform', Math.sqrt(6 / 260)],
    ['heUniform', Math.sqrt(6 / 60)],
    ['lecunUniform', Math.sqrt(3 / 60)],
    ['randomUniform', 0.05],
  ])('%s stays within its limit and fills it', (name, limit) => {
    const x = values(name);
    expect(Math.max(...x)).toBeLessThan(limit * (1 + 1e-6));
    expect(Math.max(...x)).toBeGreaterThan(limit * 0.99);
    expect(Math.min(...x)).toBeLessThan(-limit * 0.99);
    expect(deviation(x)).toBeCloseTo(limit / Math.sqrt(3), 2);
  });
  it.each([
    ['glorotNormal', Math.sqrt(2 / 260)],
    ['heNormal', Math.sqrt(2 / 60)],
    ['lecunNormal', Math.sqrt(1 / 60)],
    ['randomNormal', 0.05],
  ])('%s has its standard deviation', (name, expected) => {
    expect(deviation(values(name)) / expected).toBeCloseTo(1, 1);
  });
  it('truncatedNormal ends at two deviations', () => {
    expect(Math.max(...values('truncatedNormal').map(Math.abs))).toBeLessThanOrEqual(0.1 + 1e-7);
  });
});

it.each(Object.keys(initializers))('%s draws into the room that it is given', (name) => {
  const made: Float32Array[] = [];
  const room = (floats: number) => {
    made.push(new Float32Array(new ArrayBuffer(4 * floats + 64), 64, floats));
    return made[made.length - 1];
  };
  const drawn = initializerOf(name, 'test').values(shape, key, room);
  expect(drawn).toBe(made[0]);
  expect(drawn).toEqual(initializerOf(name, 'test').values(shape, key));
});

describe('orthogonal', () => {
  it.each([[[5, 20]], [[20, 5]], [[7, 7]], [[40, 34]], [[1, 3]]])(
    '%s has orthonormal rows or columns',
    ([rows, columns]) => {
      const q = initializers.orthogonal({ gain: 2 }).values([rows, columns], key);
      const n = Math.min(rows, columns);
      const at = (vector: number, i: number) => (rows >= columns ? q[i * columns + vector] : q[vector * columns + i]);
      for (let a = 0; a < n; a++)
        for (let b = 0; b < n; b++) {
          let dot = 0;
          for (let i = 0; i < Math.max(rows, columns); i++) dot += at(a, i) * at(b, i);
          expect(dot).toBeCloseTo(a === b ? 4 : 0, 5);
        }
    },
  );
  it('gives the same matrix for a seed for ever', () => {
    expect([...initializers.orthogonal({ seed: 5 }).values([3, 3], key)]).toEqual(
      [
        0.6510152220726013, -0.17957638204097748, 0.7375171184539795, -0.03809557855129242, 0.9626590013504028,
        0.2680230736732483, 0.7581081390380859, 0.20258323848247528, -0.6198645830154419,
      ].map(Math.fround),
    );
  });
  it('refuses vectors', () => expect(() => initializers.orthogonal().values([4], key)).toThrow(/at least two axes/));
});

describe('keys and seeds', () => {
  it('the same key gives the same values, another one others; a seed stands for the key', () => {
    const { glorotUniform } = initializers;
    const draw = (k: RandomKey, seed: number | null = null) => glorotUniform({ seed }).values(shape, k);
    expect(draw(key)).toEqual(draw(RandomKey.from(3)));
    expect(draw(key)).not.toEqual(draw(RandomKey.from(4)));
    expect(draw(key, 9)).toEqual(draw(RandomKey.from(4), 9));
  });
});

describe('Keras configurations', () => {
  it.each(Object.keys(initializers))('%s goes out and comes back', (name) => {
    const made = initializerOf(name, 'test');
    const read = initializerFromKeras(initializerToKeras(made), kerasReading(3), 'test');
    expect(read.className).toBe(made.className);
    expect(read.config).toEqual(made.config);
  });
  it('Keras 2 wrote dtype and its own words', () => {
    const json = {
      class_name: 'VarianceScaling',
      config: { scale: 1, mode: 'fan_avg', distribution: 'uniform', seed: null, dtype: 'float32' },
    };
    const read = initializerFromKeras(json, kerasReading(2), 'test').values(shape, key);
    expect(read).toEqual(initializers.glorotUniform().values(shape, key));
  });
  it('unknown names are answered with the nearest', () => {
    expect(() => initializerOf('glorot_unifrom', 'dense.kernelInitializer')).toThrow(/Did you mean 'glorotUniform'/);
  });
});

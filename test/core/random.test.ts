import { describe, expect, it } from 'vitest';
import { philox, RandomKey } from '../../src/core/random.ts';

const hex = (words: Iterable<number>): string => [...words].map((w) => w.toString(16).padStart(8, '0')).join(' ');

describe('philox', () => {
  // Source: the file kat_vectors of Random123 (D. E. Shaw Research), rows "philox4x32 10".
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [Array(4).fill(0xffffffff), Array(2).fill(0xffffffff), '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('gives the published words for %j', (counter, [key0, key1], wanted) => {
    const block = Uint32Array.from(counter);
    philox(block, key0, key1);
    expect(hex(block)).toBe(wanted);
  });

  it('takes signed words of a key as the same bits', () => {
    const block = Uint32Array.from(Array(4).fill(0xffffffff));
    philox(block, -1, -1);
    expect(hex(block)).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
  });
});

function moments(values: ArrayLike<number>): { mean: number; deviation: number } {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  return { mean, deviation: Math.sqrt(list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length) };
}

describe('RandomKey', () => {
  const key = RandomKey.from(7);
  const count = 100_000;

  it('draws words of the stream by the counter (block, 0, stream, 0)', () => {
    const [k0, k1] = key.words;
    const block = Uint32Array.of(1, 0, 9, 0);
    philox(block, k0, k1);
    expect(key.uniform(7, 9)[6]).toBe((block[2] >>> 8) * 2 ** -24);
  });

  it('gives the same numbers for the same key, and a prefix for a smaller count', () => {
    expect([...key.uniform(5)]).toEqual([...RandomKey.from(7).uniform(9).subarray(0, 5)]);
    expect([...key.normal(3)]).toEqual([...key.normal(10).subarray(0, 3)]);
  });

  it('keeps 53 bits of a seed', () => {
    expect(RandomKey.from(2 ** 40 + 5).words).toEqual([5, 256]);
    expect(RandomKey.from(5).words).not.toEqual(RandomKey.from(2 ** 32 + 5).words);
    expect(() => RandomKey.from(0.5)).toThrow('RandomKey.from: expected a seed that is a whole number, received 0.5');
  });

  it('splits into different keys', () => {
    const children = [...Array(1000).keys()].map((i) => key.split(i));
    children.push(...['a', 'b', 'ab', 'ba', '', '0', '1'].map((label) => key.split(label)), key);
    expect(new Set(children.map((k) => hex(k.words))).size).toBe(children.length);
    expect(key.split('weights').words).toEqual(RandomKey.from(7).split('weights').words);
    expect(() => key.split(0.5)).toThrow('RandomKey.split');
  });

  it('is uniform in [0, 1)', () => {
    const values = key.uniform(count);
    const { mean, deviation } = moments(values);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.004); // four standard errors
    expect(Math.abs(deviation - Math.sqrt(1 / 12))).toBeLessThan(0.003);
    expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
  });

  it('is normal', () => {
    const values = key.normal(count);
    const { mean, deviation } = moments(values);
    expect(Math.abs(mean)).toBeLessThan(0.013);
    expect(Math.abs(deviation - 1)).toBeLessThan(0.009);
    const beyond = values.filter((x) => Math.abs(x) > 1.96).length / count;
    expect(Math.abs(beyond - 0.05)).toBeLessThan(0.003);
    expect(key.normal(0).length).toBe(0);
    expect(key.normal(1).length).toBe(1);
  });

  it('truncates at two deviations', () => {
    const values = key.truncatedNormal(count);
    expect(values.every((x) => Math.abs(x) <= 2)).toBe(true);
    expect(Math.abs(moments(values).deviation - 0.8796)).toBeLessThan(0.008); // that of the truncated density
  });

  it('draws the same numbers for a seed for ever', () => {
    const own = RandomKey.from(5);
    expect([...own.normal(5)]).toEqual(
      [0.6612764000892639, 0.30968743562698364, 0.17690810561180115, -0.038696035742759705, 0.8087321519851685].map(
        Math.fround,
      ),
    );
    // Five of the first sixty were drawn again.
    expect([...own.truncatedNormal(60).subarray(54)]).toEqual(
      [
        -0.5718059539794922, -0.645375669002533, 1.2164270877838135, -0.2843795418739319, -1.1338471174240112,
        1.5094776153564453,
      ].map(Math.fround),
    );
  });

  it.each(['uniform', 'normal', 'truncatedNormal'] as const)('%s fills an array that is there', (kind) => {
    for (const size of [0, 1, 2, 7, 1001]) {
      const memory = new Float32Array(size + 2).fill(9);
      const into = memory.subarray(1, size + 1);
      const given = kind === 'uniform' ? key.uniform(size, 0, into) : key[kind](size, into);
      expect(given).toBe(into);
      expect([...memory]).toEqual([9, ...key[kind](size), 9]);
    }
    const small = new Float32Array(2);
    expect(() => (kind === 'uniform' ? key.uniform(3, 0, small) : key[kind](3, small))).toThrow(
      /into: expected an array of 3 numbers, received 2/,
    );
  });

  it('draws whole numbers evenly', () => {
    const values = key.integers(60_000, -2, 4);
    for (let v = -2; v < 4; v++) expect(Math.abs(values.filter((x) => x === v).length - 10_000)).toBeLessThan(400);
    expect(() => key.integers(1, 3, 3)).toThrow('low < high');
    expect([...key.integers(3, -(2 ** 31), 2 ** 31)].every(Number.isInteger)).toBe(true);
  });

  it('permutes', () => {
    const order = key.permutation(1000);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect(order.filter((v, i) => v === i).length).toBeLessThan(10);
    expect([...key.permutation(0)]).toEqual([]);
    expect([...key.permutation(1)]).toEqual([0]);
    // every order of three equally often
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const text = key.split(i).permutation(3).join('');
      seen.set(text, (seen.get(text) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const times of seen.values()) expect(Math.abs(times - 1000)).toBeLessThan(130);
  });
});

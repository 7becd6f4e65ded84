/** Data sets: what each operation gives, that a pass can be repeated, and what is refused. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { dataset } from '../../src/data/all.ts';
import type { Dataset } from '../../src/data/dataset.ts';

const range = (n: number): Dataset<number> =>
  dataset.fromGenerator(function* () {
    for (let i = 0; i < n; i++) yield i;
  }, n);

async function pass<T>(data: Dataset<T>, number: number): Promise<T[]> {
  const elements: T[] = [];
  for await (const element of data.iterate(RandomKey.from(0).split(number))) elements.push(element);
  return elements;
}

const nested = (x: unknown): unknown =>
  x instanceof NdArray
    ? x.toNested()
    : Array.isArray(x)
      ? x.map(nested)
      : typeof x === 'object' && x !== null
        ? Object.fromEntries(Object.entries(x).map(([key, own]) => [key, nested(own)]))
        : x;

describe('operations', () => {
  it('map, filter, take, skip and repeat, with the sizes that are known', async () => {
    const doubled = range(5).map((x) => 2 * x);
    expect(await doubled.toArray()).toEqual([0, 2, 4, 6, 8]);
    expect(
      await range(5)
        .map(async (x, i) => x * 10 + i)
        .toArray(),
    ).toEqual([0, 11, 22, 33, 44]);
    expect(
      await range(7)
        .filter((x) => x % 3 === 0)
        .toArray(),
    ).toEqual([0, 3, 6]);
    expect(await range(5).take(2).toArray()).toEqual([0, 1]);
    expect(await range(5).skip(3).toArray()).toEqual([3, 4]);
    expect(await range(2).repeat(3).toArray()).toEqual([0, 1, 0, 1, 0, 1]);
    expect(await range(3).repeat().take(7).toArray()).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(await range(0).repeat().toArray()).toEqual([]);
    const sizes = [
      doubled,
      range(7).filter(() => true),
      range(5).take(9),
      range(5).skip(2),
      range(2).repeat(3),
      range(2).repeat(),
    ];
    expect(sizes.map(({ size }) => size)).toEqual([5, null, 5, 3, 6, Number.POSITIVE_INFINITY]);
    expect([range(7).batch(3).size, range(7).batch(3, { dropRemainder: true }).size]).toEqual([3, 2]);
  });
  it('batch stacks numbers, arrays, lists and objects of them; ids stay whole', async () => {
    const [first, last] = await range(5)
      .map((i) => [[i, i + 1], i])
      .batch(3)
      .toArray();
    expect(nested(first)).toEqual([
      [
        [0, 1],
        [1, 2],
        [2, 3],
      ],
      [0, 1, 2],
    ]);
    expect(nested(last)).toEqual([
      [
        [3, 4],
        [4, 5],
      ],
      [3, 4],
    ]);
    const named = await range(2)
      .map((i) => ({ x: { a: NdArray.from(Int32Array.of(i)), b: i }, y: [i, i] }))
      .batch(2)
      .toArray();
    expect(nested(named)).toEqual([
      {
        x: { a: [[0], [1]], b: [0, 1] },
        y: [
          [0, 0],
          [1, 1],
        ],
      },
    ]);
    expect(((named[0] as { x: { a: NdArray } }).x.a as NdArray).dtype).toBe('int32');
    expect(await range(5).batch(2, { dropRemainder: true }).toArray()).toHaveLength(2);
  });
  it('paddedBatch pads to the longest, behind or in front, and labels of one length not at all', async () => {
    const rows = dataset.fromArrays(
      [[1, 2, 3], [4], [5, 6]],
      [
        [1, 0],
        [0, 1],
        [1, 0],
      ],
    );
    expect(nested(await rows.paddedBatch(3).toArray())).toEqual([
      [
        [
          [1, 2, 3],
          [4, 0, 0],
          [5, 6, 0],
        ],
        [
          [1, 0],
          [0, 1],
          [1, 0],
        ],
      ],
    ]);
    const front = await rows.paddedBatch(2, { padding: 'pre', value: -1, length: 4 }).toArray();
    expect(nested((front[0] as unknown[])[0])).toEqual([
      [-1, 1, 2, 3],
      [-1, -1, -1, 4],
    ]);
    const tags = dataset.fromArrays([[1, 2, 3], [4]], [[7, 8, 9], [7]]);
    expect(nested(await tags.paddedBatch(2).toArray())).toEqual([
      [
        [
          [1, 2, 3],
          [4, 0, 0],
        ],
        [
          [7, 8, 9],
          [7, 0, 0],
        ],
      ],
    ]);
    await expect(rows.paddedBatch(3, { length: 2 }).toArray()).rejects.toThrow(
      /sequences of at most 2 steps, received 3/,
    );
  });
  it('window gives neighbouring elements, with shift and stride', async () => {
    const windows = async (size: number, options = {}) => nested(await range(7).window(size, options).toArray());
    expect(await windows(3, { shift: 2 })).toEqual([
      [0, 1, 2],
      [2, 3, 4],
      [4, 5, 6],
    ]);
    expect(await windows(2, { stride: 3, shift: 1 })).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
    expect(await windows(3, { shift: 3, dropRemainder: false })).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(await windows(2, { shift: 4 })).toEqual([
      [0, 1],
      [4, 5],
    ]);
    for (const options of [{ shift: 2 }, { stride: 2 }, { shift: 3, dropRemainder: false }, { shift: 5, stride: 2 }])
      expect(range(7).window(3, options).size).toBe((await range(7).window(3, options).toArray()).length);
  });
  it('a window over a series has the target of its start', async () => {
    const values = Array.from({ length: 10 }, (_, i) => i);
    const data = dataset.timeseries(
      values,
      values.map((v) => v * 10),
      { sequenceLength: 3, sequenceStride: 2, samplingRate: 2, batchSize: 2 },
    );
    expect(nested(await data.toArray())).toEqual([
      [
        [
          [0, 2, 4],
          [2, 4, 6],
        ],
        [0, 20],
      ],
      [[[4, 6, 8]], [40]],
    ]);
    const some = dataset.timeseries(values, null, { sequenceLength: 2, startIndex: 3, endIndex: 7, batchSize: null });
    expect(nested(await some.toArray())).toEqual([
      [3, 4],
      [4, 5],
      [5, 6],
    ]);
    expect(() => dataset.timeseries(values, null, { sequenceLength: 11 })).toThrow(
      /sequenceLength: expected a whole number from 1 to 10/,
    );
  });
});

describe('order', () => {
  it('a pass is always the same, another pass another one, and all elements are in it', async () => {
    const data = range(50).shuffle(undefined, 3);
    const [first, again, second] = [await pass(data, 0), await pass(data, 0), await pass(data, 1)];
    expect(first).toEqual(again);
    expect(first).not.toEqual(second);
    expect([...second].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(await pass(range(50).shuffle(undefined, 4), 0)).not.toEqual(first);
  });
  it('a small buffer moves no element further to the front than it is long', async () => {
    const order = await pass(range(200).shuffle(10, 1), 0);
    order.forEach((element, at) => {
      expect(element).toBeLessThanOrEqual(at + 10);
    });
    expect(order).not.toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
  it('every position is equally likely with a buffer of all', async () => {
    const counts = new Array(4).fill(0);
    for (let k = 0; k < 4000; k++) counts[(await pass(range(4).shuffle(undefined, 7), k)).indexOf(2)]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120); // more than four standard deviations
  });
  it('repeat shuffles anew each time', async () => {
    const twice = await range(20).shuffle().repeat(2).toArray();
    expect(twice.slice(0, 20)).not.toEqual(twice.slice(20));
    expect([...twice.slice(20)].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

describe('bucketByLength', () => {
  const texts = Array.from({ length: 300 }, (_, i) => Array.from({ length: 1 + ((i * 37) % 90) }, () => i + 1));
  const labels = texts.map((_, i) => i);
  type Batch = [NdArray, NdArray];

  it('stays within the budget, loses nothing, and uses few lengths', async () => {
    const batches = (await dataset
      .fromArrays(texts, labels)
      .bucketByLength({ tokensPerBatch: 512 })
      .toArray()) as Batch[];
    const seen = batches.flatMap(([, y]) => Array.from(y.data));
    expect(seen.sort((a, b) => a - b)).toEqual(labels);
    let padding = 0;
    for (const [x, y] of batches) {
      expect(x.shape[0] * x.shape[1]).toBeLessThanOrEqual(512);
      for (let r = 0; r < x.shape[0]; r++) {
        const row = Array.from(x.data.subarray(r * x.shape[1], (r + 1) * x.shape[1]));
        expect(row.filter((id) => id !== 0)).toEqual(texts[y.data[r]]);
        padding += row.filter((id) => id === 0).length;
      }
    }
    const total = texts.reduce((n, text) => n + text.length, 0);
    expect(padding).toBeLessThan(total * 0.15);
    expect(new Set(batches.map(([x]) => x.shape[1])).size).toBeLessThan(20);
  });
  it('with boundaries and sizes it is bucket_by_sequence_length', async () => {
    const data = dataset.fromArrays(
      [[1], [2, 2], [3, 3, 3, 3, 3], [4], [5, 5, 5], [6, 6, 6, 6, 6, 6, 6]],
      [1, 2, 3, 4, 5, 6],
    );
    const batches = await data
      .bucketByLength({ boundaries: [2, 4], batchSizes: [2, 2, 2], padToBoundary: false, padding: 'pre' })
      .toArray();
    expect(nested(batches)).toEqual([
      [
        [
          [0, 1],
          [2, 2],
        ],
        [1, 2],
      ],
      [
        [
          [0, 0, 3, 3, 3, 3, 3],
          [6, 6, 6, 6, 6, 6, 6],
        ],
        [3, 6],
      ],
      [[[4]], [4]],
      [[[5, 5, 5]], [5]],
    ]);
  });
  it('pads a translation to a length of its own', async () => {
    const pairs = dataset.fromArrays(
      [
        [1, 2, 3],
        [4, 5],
      ],
      [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1]],
    );
    const [batch] = (await pairs.bucketByLength({ tokensPerBatch: 64 }).toArray()) as Batch[];
    expect(batch.map(({ shape }) => shape)).toEqual([
      [2, 4],
      [2, 12],
    ]);
  });
  it('refuses what is longer than the budget, with what to do', async () => {
    const data = dataset.fromArrays([[1, 2, 3, 4, 5]], [1]).bucketByLength({ tokensPerBatch: 4 });
    await expect(data.toArray()).rejects.toThrow(/at most 4 steps.*one of 5. Raise tokensPerBatch/);
    expect(() => dataset.fromArrays([[1]]).bucketByLength({})).toThrow(/tokensPerBatch, or boundaries with batchSizes/);
  });
});

describe('prefetch', () => {
  it('reads ahead, changes nothing, and cleans up where nobody reads on', async () => {
    const made: number[] = [];
    let closed = 0;
    const data = dataset
      .fromGenerator(function* () {
        try {
          for (let i = 0; i < 100; i++) {
            made.push(i);
            yield i;
          }
        } finally {
          closed++;
        }
      })
      .prefetch(3);
    for await (const element of data) {
      if (element !== 4) continue;
      await new Promise((resolve) => setTimeout(resolve, 5));
      break;
    }
    expect(made.length).toBeGreaterThanOrEqual(7);
    expect(made.length).toBeLessThanOrEqual(9);
    expect(closed).toBe(1);
    expect(await data.toArray()).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
  it('hands out what came before an error first', async () => {
    const broken = dataset
      .fromGenerator(function* () {
        yield 1;
        yield 2;
        throw new Error('torn');
      })
      .prefetch(5);
    const seen: number[] = [];
    await expect(
      (async () => {
        for await (const element of broken) seen.push(element);
      })(),
    ).rejects.toThrow('torn');
    expect(seen).toEqual([1, 2]);
  });
});

describe('refusals', () => {
  it('name the place and what to do', async () => {
    expect(() => dataset.fromArrays([[1], [2]], [1])).toThrow(
      /fromArrays: expected 2 samples in all parts, received 1/,
    );
    await expect(
      dataset
        .fromArrays([[1], [2, 3]], [1, 2])
        .batch(2)
        .toArray(),
    ).rejects.toThrow(/dataset.batch: \[0\]: expected elements of the shape \(1,\).*use paddedBatch or bucketByLength/);
    expect(() => range(3).batch(0)).toThrow(/dataset.batch: size/);
    expect(() => range(3).shuffle(0)).toThrow(/buffer/);
    const odd = dataset.fromGenerator(() => [{ x: 1 }, { z: 1 }]).batch(2);
    await expect(odd.toArray()).rejects.toThrow(/an object of x, as in the first element/);
  });
});

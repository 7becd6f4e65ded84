/** Models over padded sequences leave padding out, and give what the oracle gives, which computes all of it under masks. */
import { describe, expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { defineCell, input, layers, model, ops, type SymbolicTensor } from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';

const machines = [await openMachine(), await openMachine({ host: 'oracle' })];

/** A cell whose output is not its state, and one whose step the compiler cannot follow for a masked row: a sum over the batch. */
const leaky = defineCell({
  name: 'Leaky',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features }) => ({ kernel: [features, units], recurrentKernel: [units, units] }),
  step({ x, state: { h }, weights: w }) {
    const next = ops.add(ops.mul(h, 0.7), ops.tanh(ops.add(ops.matmul(x, w.kernel), ops.matmul(h, w.recurrentKernel))));
    return { output: ops.tanh(next), state: { h: next } };
  },
});
const crowd = defineCell({
  name: 'Crowd',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features }) => ({ kernel: [features, units] }),
  step({ x, state: { h }, weights: w }) {
    const next = ops.tanh(ops.add(ops.add(ops.matmul(x, w.kernel), h), ops.mean(h, { axes: [0], keepDims: true })));
    return { output: next, state: { h: next } };
  },
});

const sides = ['left', 'right', 'holes', 'mixed'] as const;
const sources = ['ids', 'masking', 'mask', 'ids and mask'] as const;
const kinds = ['lstm', 'gru', 'simpleRNN', 'bidirectional', 'leaky', 'crowd', 'zoneout'] as const;

interface Configuration {
  readonly seed: number;
  readonly side: (typeof sides)[number];
  readonly source: (typeof sources)[number];
  readonly kind: (typeof kinds)[number];
  readonly depth: number;
  readonly sequences: boolean;
  readonly goBackwards: boolean;
  readonly zeroOutputForMask: boolean;
  readonly initial: boolean;
  readonly units: number;
  readonly batch: number;
  readonly time: number;
}

function configuration(seed: number): Configuration {
  const drawn = RandomKey.from(seed).uniform(16);
  let at = 0;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(drawn[at++] * list.length)];
  const yes = () => pick([false, true]);
  return {
    seed,
    side: pick(['left', 'right', ...sides]),
    source: pick(sources),
    kind: kinds[seed % kinds.length],
    depth: pick([1, 1, 2]),
    sequences: pick([true, true, false]),
    goBackwards: yes(),
    zeroOutputForMask: yes(),
    initial: yes(),
    units: pick([3, 16, 19]),
    batch: pick([2, 7, 12]),
    time: pick([2, 5, 9]),
  };
}

function recurrent({ kind, units, goBackwards, zeroOutputForMask }: Configuration, flags: Record<string, boolean>) {
  const own = { ...flags, goBackwards, zeroOutputForMask };
  switch (kind) {
    case 'bidirectional':
      return layers.bidirectional({ layer: layers.gru({ units, ...flags }) });
    case 'leaky':
      return layers.rnn({ cell: leaky({ units }), ...own });
    case 'crowd':
      return layers.rnn({ cell: crowd({ units }), ...own });
    case 'zoneout':
      return layers.rnn({ cell: layers.lstmCell({ units, zoneout: 0.3, projection: 5 }), ...own });
    default:
      return layers[kind]({ units, ...own });
  }
}

const statesOf: Partial<Record<Configuration['kind'], number>> = { lstm: 2, gru: 1, simpleRNN: 1, leaky: 1 };

/** Whether a step counts, by sample and time. The last sample has none. */
function validOf({ seed, side, batch, time }: Configuration): boolean[][] {
  const drawn = RandomKey.from(seed + 1000).uniform(batch * (time + 1));
  return Array.from({ length: batch }, (_, r) => {
    const count = r === batch - 1 ? 0 : Math.floor(drawn[r] * (time + 1));
    const isLeft = side === 'left' || (side === 'mixed' && r % 2 === 0);
    return Array.from({ length: time }, (__, t) => {
      if (side === 'holes') return r < batch - 1 && drawn[batch + r * time + t] < 0.6;
      return isLeft ? t >= time - count : t < count;
    });
  });
}

async function run(c: Configuration, machine: (typeof machines)[number]) {
  const { source, units, batch, time, depth, sequences } = c;
  const valid = validOf(c);
  const wave = (size: number, by: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i * by));
  const hasIds = source.startsWith('ids');
  const features = 4;
  const x = hasIds
    ? NdArray.from(
        Int32Array.from(valid.flat(), (v, i) => (v ? 1 + ((i * 7) % 10) : 0)),
        [batch, time],
      )
    : NdArray.from(
        wave(batch * time * features, 1.7).map((v, i) =>
          source === 'masking' && !valid.flat()[Math.floor(i / features)] ? -1 : v,
        ),
        [batch, time, features],
      );
  // With ids and a mask, the mask also leaves out a step at an end of all.
  const mask = valid.map((row) => row.map((v, t) => Number(v && (source !== 'ids and mask' || t !== time - 1))));
  const inner = hasIds ? input({ shape: [time], dtype: 'int32' }) : input({ shape: [time, features] });
  const before = hasIds
    ? layers.embedding({ inputDim: 11, outputDim: features, maskZero: true })
    : source === 'masking'
      ? layers.masking({ maskValue: -1 })
      : null;
  const inputs = [inner];
  const data = [x];
  let y = before ? before.apply<SymbolicTensor>(inner) : inner;
  for (let i = 1; i < depth; i++) y = recurrent(c, { returnSequences: true }).apply<SymbolicTensor>(y);
  const count = (c.initial && statesOf[c.kind]) || 0;
  const initialState = Array.from({ length: count }, (_, i) => {
    data.push(NdArray.from(wave(batch * units, 0.3 + i), [batch, units]));
    return input({ shape: [units] });
  });
  inputs.push(...initialState);
  const layer = recurrent(c, { returnSequences: sequences, returnState: count > 0 });
  const results = count ? layer.apply<SymbolicTensor[]>(y, { initialState }) : [layer.apply<SymbolicTensor>(y)];
  const outputs = [layers.dense({ units: 2 }).apply<SymbolicTensor>(results[0]), ...results.slice(1)];
  const net = model<NdArray | NdArray[]>({ inputs, outputs, seed: 5, machine });
  net.compile({ optimizer: 'sgd', loss: 'mse' });
  const fed = data.length > 1 ? data : x;
  const masks = source.endsWith('mask') ? (count ? [mask, ...initialState.map(() => null)] : mask) : undefined;
  const given = masks && { mask: masks as never };
  const predicted = [await net.predict(fed, { batchSize: batch, ...given })].flat() as NdArray[];
  const wanted = predicted.map(({ shape }) =>
    NdArray.from(
      wave(
        shape.reduce((a, b) => a * b, 1),
        0.9,
      ),
      shape,
    ),
  );
  const targets = wanted.length > 1 ? wanted : wanted[0];
  const { loss, weightGradients, inputGradients } = await net.lossAndGradients(fed, targets, { ...given });
  // Every step counts here, the masked ones too.
  const { weightGradients: ofAll } = await net.vjp(fed, targets, { ...given });
  await net.trainOnBatch(fed, targets, { ...given });
  return {
    values: {
      predicted,
      loss: [NdArray.from([loss])],
      weightGradients,
      inputGradients: [inputGradients].flat().filter((g) => g !== null),
      ofAll,
    },
    train:
      net
        .explain()
        .split(/^== /m)
        .find((step) => step.startsWith('train')) ?? '',
  };
}

function expectClose(got: readonly NdArray[], want: readonly NdArray[], what: string): void {
  expect(got.length).toBe(want.length);
  got.forEach(({ data }, k) => {
    let size = 0;
    for (const v of want[k].data) size = Math.max(size, Math.abs(v));
    for (let i = 0; i < data.length; i++)
      if (!(Math.abs(data[i] - want[k].data[i]) <= 3e-5 * Math.max(1, size)))
        expect.fail(`${what} ${k}, element ${i}: ${data[i]}, wanted ${want[k].data[i]}`);
  });
}

describe('padded sequences give what full computation under masks gives', () => {
  test.each(Array.from({ length: 42 }, (_, seed) => configuration(seed)))('$seed: $kind, $side $source', async (c) => {
    const [got, want] = await Promise.all(machines.map((machine) => run(c, machine)));
    for (const key of ['predicted', 'loss', 'weightGradients', 'inputGradients', 'ofAll'] as const)
      expectClose(got.values[key], want.values[key], `${JSON.stringify(c)} ${key}`);
    if (machines[0].traits.host === 'oracle') return;
    const isOrdered = (c.side === 'left' || c.side === 'right') && c.kind !== 'crowd';
    const loops = got.train.match(/LOOP .*/g) ?? [];
    expect(loops.length).toBeGreaterThan(0);
    for (const loop of loops) if (isOrdered) expect(loop).toMatch(/activeRows=[1-9]/);
  });
});

describe('a loss with a mask', () => {
  const sequences = Array.from({ length: 7 }, (_, r) =>
    Array.from({ length: 6 }, (__, t) => (t < r ? 1 + ((r + 3 * t) % 9) : 0)),
  );
  const build = (machine: (typeof machines)[number]) => {
    const x = input({ shape: [6], dtype: 'int32' });
    const embedded = layers.embedding({ inputDim: 10, outputDim: 16, maskZero: true }).apply<SymbolicTensor>(x);
    const walked = layers.gru({ units: 16, returnSequences: true }).apply<SymbolicTensor>(embedded);
    const outputs = layers.dense({ units: 3, activation: 'softmax' }).apply<SymbolicTensor>(walked);
    const net = model({ inputs: x, outputs, seed: 2, machine });
    net.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy' });
    return net;
  };
  const labels = sequences.map((row) => row.map((id) => id % 3));

  test.skipIf(machines[0].traits.host === 'oracle')(
    'nothing is held for it, and its products leave padding out',
    async () => {
      const net = build(machines[0]);
      await net.trainOnBatch(sequences, labels);
      const text = net.explain();
      const [forward, backward] = text.split(/(?=^ +LOOP )/m).slice(1);
      expect(forward).toMatch(/HOLD/);
      expect(backward.slice(0, backward.indexOf('NEXT'))).not.toMatch(/sources .*\n.*sources/);
      // The dense layer: its weights' gradient and that of its input; the GRU: the gradients of its weights, together, and of its input.
      expect(text.match(/PRODUCT_TN .*groups=6 groupRows=7/g)?.length).toBe(text.match(/PRODUCT_TN /g)?.length);
      expect(text.match(/PRODUCT .*groups=6 groupRows=7/g)?.length).toBeGreaterThanOrEqual(2);
    },
  );

  test('the same weights after training', async () => {
    const [got, want] = await Promise.all(
      machines.map(async (machine) => {
        const net = build(machine);
        await net.fit(sequences, labels, { epochs: 3, batchSize: 7, verbose: 0 });
        return net.getWeights();
      }),
    );
    expectClose(got, want, 'weight');
  });
});

describe('an encoder and a decoder, each with padding of its own', () => {
  const ids = (by: number, length: number, left: boolean) =>
    Array.from({ length: 8 }, (_, r) => {
      const count = (r * by + 1) % (length + 1);
      return Array.from({ length }, (__, t) => ((left ? t >= length - count : t < count) ? 1 + ((r + t * by) % 9) : 0));
    });

  test.each([
    ['of the same order', 3, 3],
    ['of another order', 3, 5],
  ])('%s', async (_, first, second) => {
    const given = [ids(first, 7, true), ids(second, 7, false)];
    const targets = ids(4, 7, false).map((row) => row.map((id) => id % 4));
    const [got, want] = await Promise.all(
      machines.map(async (machine) => {
        const inputs = [input({ shape: [7], dtype: 'int32' }), input({ shape: [7], dtype: 'int32' })];
        const [a, b] = inputs.map((x) =>
          layers.embedding({ inputDim: 10, outputDim: 5, maskZero: true }).apply<SymbolicTensor>(x),
        );
        const [, h, c] = layers.lstm({ units: 6, returnState: true }).apply<SymbolicTensor[]>(a);
        const decoded = layers
          .lstm({ units: 6, returnSequences: true })
          .apply<SymbolicTensor>(b, { initialState: [h, c] });
        const outputs = layers.dense({ units: 4, activation: 'softmax' }).apply<SymbolicTensor>(decoded);
        const net = model<NdArray>({ inputs, outputs, seed: 4, machine });
        net.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy' });
        await net.fit(given, targets, { epochs: 2, batchSize: 8, verbose: 0, shuffle: false });
        return { weights: net.getWeights(), y: await net.predict(given), text: net.explain() };
      }),
    );
    expectClose(got.weights, want.weights, 'weight');
    expectClose([got.y], [want.y], 'prediction');
    if (machines[0].traits.host === 'oracle') return;
    const train = got.text.split(/^== /m).find((step) => step.startsWith('train')) ?? '';
    const active = train.match(/LOOP .*activeRows=[1-9]/g) ?? [];
    expect(active).toHaveLength(first === second ? 4 : 2);
  });
});

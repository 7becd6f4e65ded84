/** Loops that leave out padding give what the oracle gives with masks, and do less. */
import { describe, expect, test } from 'vitest';
import { compileStep, type StepBuilder, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { gather } from '../../src/ops/gather.ts';
import { mul, notEqual, select, square, sub, toFloat } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo, reshape, slice, transpose } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import { expectSameBits, onThreads, threadCounts } from '../vm/scene.ts';
import { type Sizes, spaceOf, stepCells } from './training-step.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const vocabulary = 13;

interface Padding {
  readonly side: 'left' | 'right';
  readonly ordered: boolean;
  readonly reverse: boolean;
  readonly sequences: boolean;
}

/** Embedding with masked zeros, a cell over time, and gradient descent on the last state or on all outputs. */
function maskedStep(name: string, { batch, time, units }: Sizes, { ordered, reverse, sequences }: Padding) {
  const cell = stepCells[name];
  return (b: StepBuilder): TracedStep => {
    const ids = b.input('ids', [batch, time], 'i32', { orderedRows: ordered });
    const y = b.input('y', sequences ? [time, batch, units] : [batch, units]);
    const names = ['table', 'kernel', 'recurrent', 'bias'];
    const weights = names.map((key) => b.state(key));
    const [table, w, u, biases] = weights;
    const x = transpose(gather(table, ids), [1, 0, 2]);
    const mask = transpose(notEqual(toFloat(ids), 0), [1, 0]);
    const wide = cell.gates * units;
    const rows = Array.from({ length: cell.biases }, (_, i) => reshape(slice(biases, [i, 0], [1, wide]), [wide]));
    const init = Array.from({ length: cell.carries }, () => broadcastTo(b.constant(0), [batch, units]));
    const walked = scan(
      { init, sequences: [x, mask], constants: [w, u, ...rows], length: time, reverse },
      (carry, [now, valid], constants) => {
        const next = cell.step(carry, now, constants).map((v, i) => select(reshape(valid, [batch, 1]), v, carry[i]));
        return { carry: next, outputs: [next[0]] };
      },
    );
    const result = sequences ? walked.outputs[0] : walked.carry[0];
    const loss = sum(square(sub(result, y)));
    const found = gradients([loss], [b.constant(1)], weights);
    const updates = Object.fromEntries(names.map((key, i) => [key, sub(weights[i], mul(found[i] as Tensor, 0.01))]));
    return { outputs: { loss, result }, updates };
  };
}

function idsOf({ batch, time }: Sizes, side: 'left' | 'right'): Int32Array {
  const ids = new Int32Array(batch * time);
  for (let r = 0; r < batch; r++) {
    // Longest first; the last row has nothing.
    const length = Math.floor((time * (batch - 1 - r)) / Math.max(1, batch - 1));
    for (let t = 0; t < length; t++)
      ids[r * time + (side === 'right' ? t : time - 1 - t)] = 1 + ((r * 7 + t * 3) % (vocabulary - 1));
  }
  return ids;
}

const paddings: Padding[] = (['left', 'right'] as const).flatMap((side) =>
  [false, true].flatMap((reverse) => [false, true].map((sequences) => ({ side, ordered: true, reverse, sequences }))),
);

describe.skipIf(machine.traits.host === 'oracle')('active rows', () => {
  for (const name of Object.keys(stepCells))
    for (const padding of paddings)
      test.each([
        { batch: 7, time: 9, features: 5, units: 19 },
        { batch: 32, time: 11, features: 16, units: 32 },
        { batch: 2, time: 3, features: 1, units: 1 },
      ])(`${name}, ${JSON.stringify(padding)}, %o`, (sizes) => {
        const spaces = [machine, oracle].map((m) => {
          const space = spaceOf(m, stepCells[name], sizes);
          space.declare('table', [vocabulary, sizes.features]);
          space.set(
            'table',
            Float32Array.from({ length: vocabulary * sizes.features }, (_, i) => Math.sin(i * 3.3)),
          );
          return space;
        });
        const steps = spaces.map((space) => compileStep(space, name, maskedStep(name, sizes, padding)));
        const size = (padding.sequences ? sizes.time : 1) * sizes.batch * sizes.units;
        const feed = { ids: idsOf(sizes, padding.side), y: Float32Array.from({ length: size }, (_, i) => Math.sin(i)) };
        const [got, want] = steps.map((step) => step.runSync([feed, feed, feed]));
        const compare = (what: string, a: ArrayLike<number>, b: ArrayLike<number>) => {
          for (let i = 0; i < a.length; i++)
            if (!(Math.abs(a[i] - b[i]) <= 1e-4 * Math.max(1, Math.abs(b[i]))))
              expect.fail(`${what}[${i}]: ${a[i]}, wanted ${b[i]}`);
        };
        got.forEach((result, i) => {
          compare(`loss of step ${i}`, result.loss, want[i].loss);
          compare(`result of step ${i}`, result.result, want[i].result);
        });
        for (const leaf of spaces[0].names()) compare(leaf, spaces[0].get(leaf), spaces[1].get(leaf));
      });

  test.skipIf(machine.traits.host !== 'native').each(paddings)(
    'the same bits on any number of threads, %o',
    (padding) => {
      const sizes = { batch: 13, time: 7, features: 5, units: 33 };
      const train = () => {
        const space = spaceOf(machine, stepCells.gru, sizes);
        space.declare('table', [vocabulary, sizes.features]);
        space.set(
          'table',
          Float32Array.from({ length: vocabulary * sizes.features }, (_, i) => Math.sin(i * 3.3)),
        );
        const step = compileStep(space, 'gru', maskedStep('gru', sizes, padding));
        const size = (padding.sequences ? sizes.time : 1) * sizes.batch * sizes.units;
        const feed = { ids: idsOf(sizes, padding.side), y: Float32Array.from({ length: size }, (_, i) => Math.sin(i)) };
        step.runSync([feed, feed]);
        return space.names().map((leaf) => space.get(leaf));
      };
      const one = onThreads(1, train);
      for (const threads of threadCounts)
        for (const [i, values] of onThreads(threads, train).entries())
          expectSameBits(values, one[i], `weights ${i} on ${threads} threads`);
    },
  );

  test('returned sequences: the loops do one product and one chain, and hold the other rows', () => {
    const sizes = { batch: 8, time: 4, features: 16, units: 16 };
    const space = spaceOf(machine, stepCells.lstm, sizes);
    space.declare('table', [vocabulary, sizes.features]);
    const padding: Padding = { side: 'right', ordered: true, reverse: false, sequences: true };
    const text = compileStep(space, 'lstm', maskedStep('lstm', sizes, padding)).explain();
    const program = text.split('\n').map((line) => line.trim());
    const from = program.findIndex((line) => line.startsWith('LOOP'));
    const loops: string[][] = [];
    for (const line of program.slice(from)) {
      if (line.startsWith('LOOP')) loops.push([]);
      if (/^(LOOP|PRODUCT|CHAIN|COPY|HOLD|NEXT)\b/.test(line)) loops[loops.length - 1].push(line.split(' ')[0]);
      else if (line.startsWith('| sources')) loops[loops.length - 1].push('source');
      if (line === 'NEXT') loops.push([]);
    }
    const bodies = loops.filter((loop) => loop[0] === 'LOOP');
    // Forward the states go on in their stacks; backward what comes in to the state of a left out step is added to its gradient.
    expect(bodies).toEqual([
      ['LOOP', 'PRODUCT', 'CHAIN', 'HOLD', 'source', 'HOLD', 'source', 'NEXT'],
      ['LOOP', 'CHAIN', 'PRODUCT', 'HOLD', 'source', 'source', 'NEXT'],
    ]);
    expect(text.match(/LOOP .*activeRows=8/g)).toHaveLength(2);
    expect(text).toMatch(/PRODUCT_TN .*groups=4 groupRows=8/);
  });

  test('the loops of a masked layer name their active rows, if the rows are ordered', () => {
    const sizes = { batch: 8, time: 4, features: 5, units: 16 };
    const text = (ordered: boolean) => {
      const space = spaceOf(machine, stepCells.lstm, sizes);
      space.declare('table', [vocabulary, sizes.features]);
      return compileStep(
        space,
        'lstm',
        maskedStep('lstm', sizes, { side: 'left', ordered, reverse: false, sequences: false }),
      ).explain();
    };
    expect(text(true).match(/LOOP .*activeRows=8/g)).toHaveLength(2);
    expect(text(false).match(/LOOP .*activeRows=0/g)).toHaveLength(2);
  });
});

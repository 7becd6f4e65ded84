/**
 * The copy task: ten symbols out of eight, then a long silence, then a mark; the ten symbols are to be said again in their order. Hochreiter
 * and Schmidhuber (1997); the sizes are those of Arjovsky, Shah, Bengio, "Unitary evolution recurrent neural networks" (2016), section 4.1.
 * Who remembers nothing has a cross entropy of 10 ln 8 / (T + 20) on average over the steps.
 *
 * What solves it here is a linear recurrence that turns pairs of numbers by learnt angles: it keeps every length, so that nothing fades or
 * explodes over the silence, and the symbols come back when the turns of a fixed time have gone by. It is the diagonal form of the
 * orthogonal recurrence of Henaff, Szlam, LeCun, "Recurrent orthogonal networks and long-memory tasks" (2016), and of the diagonal factor of
 * Arjovsky et al.
 *
 * Run it with `node build/programs/examples/copy-task.js --cell rotation --silence 100 --steps 4000 --seed 1`.
 */
import { parseArgs } from 'node:util';
import { defineCell, initializers, layers, NdArray, ops, optimizers, RandomKey, sequential } from 'unrolled';

const { values: given } = parseArgs({
  options: {
    cell: { type: 'string', default: 'rotation' },
    silence: { type: 'string', default: '100' },
    steps: { type: 'string', default: '4000' },
    seed: { type: 'string', default: '1' },
  },
});
const [silence, steps, seed] = [Number(given.silence), Number(given.steps), Number(given.seed)];
const [symbols, memory, batchSize] = [8, 10, 64];
const classes = symbols + 2; // the symbols, the blank and the mark
const [blank, mark] = [symbols, symbols + 1];
const length = silence + 2 * memory;

/** z = exp(i angle) z + x W, on complex numbers: `re` and `im` are their parts. The output is both. */
const rotationCell = defineCell({
  name: 'RotationCell',
  state: ({ units }) => ({ re: [units], im: [units] }),
  output: ({ units }) => [2 * units],
  weights: ({ units, features }) => ({
    kernel: [features, 2 * units],
    angle: { shape: [units], initializer: initializers.randomUniform({ minval: -Math.PI, maxval: Math.PI }) },
  }),
  prepare: ({ kernel, angle }) => ({ kernel, cosine: ops.cos(angle), sine: ops.sin(angle) }),
  step({ x, state: { re, im }, weights: { kernel, cosine, sine } }) {
    const [inRe, inIm] = ops.split(ops.matmul(x, kernel), 2, -1);
    const nextRe = ops.add(ops.sub(ops.mul(cosine, re), ops.mul(sine, im)), inRe);
    const nextIm = ops.add(ops.add(ops.mul(sine, re), ops.mul(cosine, im)), inIm);
    return { output: ops.concat([nextRe, nextIm], -1), state: { re: nextRe, im: nextIm } };
  },
});

const cells = {
  rotation: {
    layer: () => layers.rnn({ cell: rotationCell({ units: 160 }), returnSequences: true }),
    learningRate: 2e-3,
  },
  lstm: { layer: () => layers.lstm({ units: 100, returnSequences: true }), learningRate: 2e-3 },
  gru: { layer: () => layers.gru({ units: 100, returnSequences: true }), learningRate: 2e-3 },
};
type Name = keyof typeof cells;
if (!Object.hasOwn(cells, given.cell)) throw new Error(`--cell: one of ${Object.keys(cells).join(', ')}`);
const { layer, learningRate } = cells[given.cell as Name];
const random = RandomKey.from(seed);

/** One-hot inputs, and the class to be said at every step. */
function draw(key: RandomKey, count: number): [x: NdArray, y: NdArray] {
  const x = NdArray.zeros([count, length, classes]);
  const y = NdArray.zeros([count, length]);
  const drawn = key.uniform(count * memory);
  for (let i = 0; i < count; i++)
    for (let t = 0; t < length; t++) {
      const symbol = (k: number) => Math.floor(drawn[i * memory + k] * symbols);
      const shown = t < memory ? symbol(t) : t === memory + silence - 1 ? mark : blank;
      x.data[(i * length + t) * classes + shown] = 1;
      y.data[i * length + t] = t < memory + silence ? blank : symbol(t - memory - silence);
    }
  return [x, y];
}

const model = sequential(
  [layers.input({ shape: [length, classes] }), layer(), layers.dense({ units: classes, activation: 'softmax' })],
  { seed },
);
// Who remembers nothing says the blank: start there.
model.setWeight(
  'dense/bias',
  Float32Array.from({ length: classes }, (_, k) => (k === blank ? 5 : 0)),
);
model.compile({
  optimizer: optimizers.adam({ learningRate, globalClipnorm: 1 }),
  loss: 'sparseCategoricalCrossentropy',
  metrics: ['accuracy'],
});
const baseline = (memory * Math.log(symbols)) / (silence + 2 * memory);
const [testX, testY] = draw(random.split('test'), 512);
console.log(`copy task: silence ${silence}, ${given.cell}, ${model.countParams()} parameters, seed ${seed}`);
console.log(`without a memory: cross entropy ${baseline.toFixed(4)}`);

const start = performance.now();
const perReport = Math.min(250, steps);
let solved = false;
for (let done = 0; done < steps && !solved; done += perReport) {
  const now = Math.min(perReport, steps - done);
  await model.fit(
    function* () {
      for (let k = 0; k < now; k++) yield draw(random.split('training').split(done + k), batchSize);
    },
    { stepsPerEpoch: now, verbose: 0 },
  );
  const { loss } = await model.evaluate(testX, testY, { batchSize: 128 });
  const seconds = (performance.now() - start) / 1000;
  console.log(`step ${done + now}: cross entropy ${loss.toFixed(5)} after ${seconds.toFixed(0)} s`);
  solved = loss < baseline / 100;
}
console.log(solved ? 'solved: below a hundredth of that' : 'not solved in these steps');

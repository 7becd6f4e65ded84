/**
 * The adding problem: a sequence of pairs (value, mark); two steps are marked, one in each half, and the answer is the sum of their values.
 * Hochreiter and Schmidhuber, "Long short-term memory" (1997), in the form of Le, Jaitly, Hinton, "A simple way to initialize recurrent
 * networks of rectified linear units" (2015): values from [0, 1). Who always says 1 has a mean squared error of 1/6, 0.167; a cell that solves
 * it is far below 0.01.
 *
 * Run it with `node build/programs/examples/adding-problem.js --cell indRNN --length 200 --steps 2500 --seed 1`.
 */
import { parseArgs } from 'node:util';
import { layers, NdArray, optimizers, RandomKey, sequential } from 'unrolled';

const { values: given } = parseArgs({
  options: {
    cell: { type: 'string', default: 'indRNN' },
    length: { type: 'string', default: '200' },
    steps: { type: 'string', default: '2500' },
    seed: { type: 'string', default: '1' },
  },
});
const [length, steps, seed] = [Number(given.length), Number(given.steps), Number(given.seed)];
const batchSize = 50;

/** Settings of each architecture: none was searched for long. */
const cells = {
  simpleRNN: { layer: () => [layers.simpleRNN({ units: 100 })], learningRate: 1e-3 },
  lstm: { layer: () => [layers.lstm({ units: 64 })], learningRate: 5e-3 },
  gru: { layer: () => [layers.gru({ units: 64 })], learningRate: 5e-3 },
  indRNN: {
    layer: () => [layers.indRNN({ units: 64, returnSequences: true }), layers.indRNN({ units: 64 })],
    learningRate: 2e-3,
  },
};
type Name = keyof typeof cells;
if (!Object.hasOwn(cells, given.cell)) throw new Error(`--cell: one of ${Object.keys(cells).join(', ')}`);
const { layer, learningRate } = cells[given.cell as Name];

const random = RandomKey.from(seed);

/** Sequences and their answers. */
function draw(key: RandomKey, count: number): [x: NdArray, y: NdArray] {
  const x = NdArray.zeros([count, length, 2]);
  const y = NdArray.zeros([count, 1]);
  const values = key.split('values').uniform(count * length);
  const places = key.split('places').uniform(count * 2);
  const half = Math.floor(length / 2);
  for (let i = 0; i < count; i++) {
    const marked = [Math.floor(places[2 * i] * half), half + Math.floor(places[2 * i + 1] * (length - half))];
    for (let t = 0; t < length; t++) x.data[(i * length + t) * 2] = values[i * length + t];
    for (const t of marked) {
      x.data[(i * length + t) * 2 + 1] = 1;
      y.data[i] += values[i * length + t];
    }
  }
  return [x, y];
}

const model = sequential([layers.input({ shape: [length, 2] }), ...layer(), layers.dense({ units: 1 })], { seed });
model.compile({ optimizer: optimizers.adam({ learningRate, globalClipnorm: 1 }), loss: 'mse' });

const [testX, testY] = draw(random.split('test'), 1000);
const naive = Array.from(testY.data).reduce((sum, y) => sum + (y - 1) ** 2, 0) / testY.data.length;
console.log(`adding problem: ${length} steps, ${given.cell}, ${model.countParams()} parameters, seed ${seed}`);
console.log(`always 1: mean squared error ${naive.toFixed(4)}`);

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
  const { loss } = await model.evaluate(testX, testY, { batchSize: 250 });
  const seconds = (performance.now() - start) / 1000;
  console.log(`step ${done + now}: mean squared error ${loss.toFixed(5)} after ${seconds.toFixed(0)} s`);
  solved = loss < 0.001;
}
console.log(solved ? 'solved: below 0.001' : 'not below 0.001 in these steps');

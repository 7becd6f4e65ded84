/** A recurrent cell of one's own: a pure function of one step. It trains, runs and saves like a built-in one. */
import { defineCell, layers, NdArray, ops, sequential } from 'unrolled';

// Zhou et al., "Minimal gated unit for recurrent neural networks" (2016)
const minimalGatedUnit = defineCell({
  name: 'MinimalGatedUnit',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 2 * units],
    recurrentKernel: [units, 2 * units],
    bias: [2 * units],
  }),
  step: ({ x, state: { h }, weights: w }) => {
    const [xf, xh] = ops.split(ops.add(ops.matmul(x, w.kernel), w.bias), 2);
    const [hf, hh] = ops.split(ops.matmul(h, w.recurrentKernel), 2);
    const forget = ops.sigmoid(ops.add(xf, hf));
    const candidate = ops.tanh(ops.add(xh, ops.mul(forget, hh)));
    const next = ops.add(ops.mul(forget, candidate), ops.mul(ops.oneMinus(forget), h));
    return { output: next, state: { h: next } };
  },
});

// the adding problem: the sum of the two marked numbers of a sequence
const [samples, time] = [512, 20];
const x = NdArray.zeros([samples, time, 2]);
const y = NdArray.zeros([samples, 1]);
for (let i = 0; i < samples; i++) {
  const marks = [i % 10, 10 + ((i * 7) % 10)];
  for (let t = 0; t < time; t++) {
    const value = ((i * 31 + t * 17) % 101) / 101;
    const marked = marks.includes(t) ? 1 : 0;
    x.data.set([value, marked], (i * time + t) * 2);
    y.data[i] += value * marked;
  }
}
const model = sequential([layers.rnn({ cell: minimalGatedUnit({ units: 24 }) }), layers.dense({ units: 1 })]);
model.compile({ optimizer: 'adam', loss: 'mse' });
const { history } = await model.fit(x, y, { epochs: 30, batchSize: 32, verbose: 0 });
console.log(`mean squared error ${history.loss[0].toFixed(3)} -> ${history.loss[29].toFixed(3)}`);

/**
 * What `precision: 'bfloat16'` brings in speed and costs in accuracy: training steps of an LSTM in turn with float32, the difference of the
 * gradients of the first step, and the losses of both on the adding problem (Hochreiter and Schmidhuber, 1997; 30 steps).
 */
import { layers, type Model, NdArray, openMachine, optimizers, type Precision, sequential } from 'unrolled';
import { interleave, median, type Row, report } from './report.ts';

const time = 100;
const sizes = [
  [32, 128],
  [64, 256],
] as const;
const stepsOf = (units: number) => (units > 200 ? 2 : 6);
const rounds = 7;
const precisions: readonly Precision[] = ['float32', 'bfloat16'];

const wave = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) / 2);

function data(samples: number, units: number) {
  return {
    x: NdArray.from(wave(samples * time * units), [samples, time, units]),
    y: NdArray.from(wave(samples * 4), [samples, 4]),
  };
}

function modelOf(units: number, precision: Precision): Model {
  const model = sequential([layers.lstm({ units }), layers.dense({ units: 4 })], { precision });
  model.compile({ optimizer: 'adam', loss: 'mse' });
  return model;
}

/** The largest difference of the gradients, weight by weight, as a share of the largest gradient of that weight. */
async function gradientDifference(batch: number, units: number): Promise<number> {
  const { x, y } = data(batch, units);
  const [a, b] = await Promise.all(precisions.map((p) => modelOf(units, p).lossAndGradients(x, y)));
  return Math.max(
    ...a.weightGradients.map((full, i) => {
      const half = b.weightGradients[i].data;
      let [difference, largest] = [0, 0];
      full.data.forEach((v, j) => {
        difference = Math.max(difference, Math.abs(v - half[j]));
        largest = Math.max(largest, Math.abs(v));
      });
      return difference / largest;
    }),
  );
}

async function speed(batch: number, units: number): Promise<Row> {
  const steps = stepsOf(units);
  const { x, y } = data(batch * steps, units);
  const contestants: Record<string, () => Promise<number>> = {};
  for (const precision of precisions) {
    const model = modelOf(units, precision);
    const timed = (run: () => Promise<unknown>) => async () => {
      const started = performance.now();
      await run();
      return (performance.now() - started) / steps;
    };
    contestants[`train ${precision}`] = timed(() => model.fit(x, y, { epochs: 1, batchSize: batch, verbose: 0 }));
    contestants[`predict ${precision}`] = timed(() => model.predict(x, { batchSize: batch }));
  }
  const times = await interleave(contestants, rounds);
  const row: Record<string, string | number> = { size: `${batch} x ${time} x ${units}` };
  for (const work of ['train', 'predict']) {
    for (const precision of precisions) {
      row[`${work} ${precision}`] = median(times[`${work} ${precision}`]);
      row[`${work} ${precision}, fastest`] = Math.min(...times[`${work} ${precision}`]);
    }
    row[`${work} gain`] = median(times[`${work} float32`]) / median(times[`${work} bfloat16`]);
  }
  row['gradients differ'] = await gradientDifference(batch, units);
  return row;
}

function addingProblem(samples: number, length: number) {
  let state = 7;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const x = new Float32Array(samples * length * 2);
  const y = new Float32Array(samples);
  for (let n = 0; n < samples; n++) {
    for (let t = 0; t < length; t++) x[(n * length + t) * 2] = draw();
    const marked = [Math.floor((draw() * length) / 2), Math.floor((length + draw() * length) / 2)];
    for (const t of marked) {
      x[(n * length + t) * 2 + 1] = 1;
      y[n] += x[(n * length + t) * 2];
    }
  }
  return { x: NdArray.from(x, [samples, length, 2]), y: NdArray.from(y, [samples, 1]) };
}

async function losses(): Promise<Row[]> {
  const { x, y } = addingProblem(1024, 30);
  const rows: Row[] = [];
  for (const seed of [0, 1])
    for (const precision of precisions) {
      const model = sequential([layers.lstm({ units: 64 }), layers.dense({ units: 1 })], { precision, seed });
      model.compile({ optimizer: optimizers.adam({ learningRate: 0.003, clipnorm: 1 }), loss: 'mse' });
      const { history } = await model.fit(x, y, { batchSize: 32, epochs: 40, verbose: 0 });
      const loss = history.loss as readonly number[];
      rows.push({ precision, seed, 'epoch 1': loss[0], 'epoch 20': loss[19], 'epoch 40': loss[39] });
    }
  return rows;
}

export async function precision(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const rows: Row[] = [];
  for (const [batch, units] of sizes) rows.push(await speed(batch, units));
  report(`precision-${isa}`, rows, { host, isa, rounds });
  report(`precision-losses-${isa}`, await losses(), { host, isa });
}

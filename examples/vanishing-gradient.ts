/**
 * The vanishing gradient made visible. A number stands at the first of 200 steps, noise at all others, and the answer is that number. How much
 * of the gradient of the loss reaches each step, in four recurrent layers, before and after some training? Bengio, Simard, Frasconi,
 * "Learning long-term dependencies with gradient descent is difficult" (1994).
 *
 * Run it with `node build/programs/examples/vanishing-gradient.js --steps 400 --out docs/pictures`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  type Inspection,
  inspect,
  layers,
  NdArray,
  optimizers,
  plotGradientFlow,
  RandomKey,
  sequential,
} from 'unrolled';

const { values: given } = parseArgs({
  options: {
    length: { type: 'string', default: '200' },
    steps: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const [length, steps, seed] = [Number(given.length), Number(given.steps), Number(given.seed)];
const units = 32;
const random = RandomKey.from(seed);

/** Sequences (value or noise, whether it is the value), and the values. */
function draw(key: RandomKey, count: number): [x: NdArray, y: NdArray] {
  const x = NdArray.zeros([count, length, 2]);
  const y = NdArray.zeros([count, 1]);
  const values = key.uniform(count * length);
  for (let i = 0; i < count; i++) {
    for (let t = 0; t < length; t++) x.data[(i * length + t) * 2] = 2 * values[i * length + t] - 1;
    x.data[i * length * 2 + 1] = 1;
    y.data[i] = x.data[i * length * 2];
  }
  return [x, y];
}

const build = (layer: ReturnType<typeof layers.lstm>) => {
  const model = sequential([layers.input({ shape: [length, 2] }), layer, layers.dense({ units: 1 })], { seed });
  model.compile({ optimizer: optimizers.adam({ learningRate: 2e-3, globalClipnorm: 1 }), loss: 'mse' });
  return model;
};
const longLstm = build(layers.lstm({ units, name: 'lstm' }));
// Forget gates whose memories last from 1 to 200 steps: Tallec, Ollivier, "Can recurrent neural networks warp time?" (2018).
const bias = new Float32Array(4 * units);
random
  .split('bias')
  .uniform(units)
  .forEach((share, k) => {
    bias[units + k] = Math.log(1 + share * (length - 2));
    bias[k] = -bias[units + k];
  });
longLstm.setWeight('lstm/bias', bias);

const models = {
  SimpleRNN: build(layers.simpleRNN({ units })),
  'LSTM, forget bias 1': build(layers.lstm({ units })),
  [`LSTM, forget bias up to log ${length}`]: longLstm,
  GRU: build(layers.gru({ units })),
};

const [x, y] = draw(random.split('look'), 64);
async function look(): Promise<Record<string, Inspection>> {
  const found: Record<string, Inspection> = {};
  for (const [name, model] of Object.entries(models)) found[name] = await inspect(model, x, { y });
  return found;
}

async function show(name: string, title: string): Promise<void> {
  const found = await look();
  for (const [model, { recurrent, loss }] of Object.entries(found)) {
    const norms = Object.values(recurrent[0].gradientNorms);
    const at = (t: number) => Math.max(...norms.map((own) => own[t])).toExponential(1);
    console.log(`${model}: loss ${loss?.toFixed(4)}, norm at the last step ${at(length - 1)}, at the first ${at(0)}`);
  }
  const options = { title, subtitle: `the first of ${length} steps is to be remembered; ${units} units, seed ${seed}` };
  if (!given.out) console.log(await plotGradientFlow(found, { ...options, format: 'terminal' }));
  else {
    mkdirSync(given.out, { recursive: true });
    writeFileSync(`${given.out}/${name}.svg`, await plotGradientFlow(found, { ...options, width: 860 }));
  }
}

await show('vanishing-gradient', 'Where the gradient goes: before training');
const start = performance.now();
for (const model of Object.values(models))
  await model.fit(
    function* () {
      for (let k = 0; k < steps; k++) yield draw(random.split('training').split(k), 32);
    },
    { stepsPerEpoch: steps, verbose: 0 },
  );
console.log(`after ${steps} steps each, ${((performance.now() - start) / 1000).toFixed(0)} s`);
await show('vanishing-gradient-trained', `Where the gradient goes: after ${steps} steps of training`);

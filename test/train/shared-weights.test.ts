/** Weights of layers that stand in several models, and models that start in the middle of a graph. */
import { describe, expect, it } from 'vitest';
import { input, layers, model, NdArray, type SymbolicTensor, sequential } from '../../src/index.ts';

const rows = (...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 3 + 1)),
    shape,
  );
const close = (a: NdArray, b: NdArray) => {
  expect(a.shape).toEqual(b.shape);
  a.data.forEach((v, i) => expect(v).toBeCloseTo(b.data[i], 5));
};

/** An autoencoder, its encoder, and its decoder from the middle on. */
function autoencoder() {
  const x = input({ shape: [4, 3] });
  const code = layers.gru({ units: 2, name: 'code' }).apply(x);
  const wide = layers.repeatVector({ n: 4 }).apply(code);
  const y = layers.dense({ units: 3, name: 'out' }).apply(layers.lstm({ units: 3, returnSequences: true }).apply(wide));
  return {
    whole: model({ inputs: x, outputs: y }),
    encoder: model({ inputs: x, outputs: code }),
    decoder: model({ inputs: code, outputs: y }),
  };
}

describe('layers in several models', () => {
  it('have one set of weights: what one model learns, all have learnt', async () => {
    const { whole, encoder, decoder } = autoencoder();
    const x = rows(6, 4, 3);
    close(await decoder.predict(await encoder.predict(x)), await whole.predict(x));
    const before = await encoder.predict(x);
    whole.compile({ optimizer: 'adam', loss: 'mse' });
    await whole.fit(x, x, { epochs: 3, batchSize: 2, verbose: 0 });
    expect((await encoder.predict(x)).data).not.toEqual(before.data);
    close(await decoder.predict(await encoder.predict(x)), await whole.predict(x));
    expect(encoder.getWeight('code/kernel').data).toEqual(whole.getWeight('code/kernel').data);
  });

  it('follow in all directions: set in one, trained in another', async () => {
    const { whole, encoder, decoder } = autoencoder();
    const x = rows(4, 4, 3);
    await whole.predict(x);
    encoder.setWeight('code/kernel', rows(3, 6));
    close(await decoder.predict(await encoder.predict(x)), await whole.predict(x));
    encoder.compile({ optimizer: 'sgd', loss: 'mse' });
    await encoder.fit(x, rows(4, 2), { epochs: 2, verbose: 0 });
    decoder.compile({ optimizer: 'sgd', loss: 'mse' });
    await decoder.trainOnBatch(rows(4, 2), x);
    close(await decoder.predict(await encoder.predict(x)), await whole.predict(x));
    close(whole.getWeight('out/kernel'), decoder.getWeight('out/kernel'));
    expect(whole.getWeight('code/kernel').data).toEqual(encoder.getWeight('code/kernel').data);
  });

  it('moving statistics among them', async () => {
    const x = input({ shape: [3] });
    const h = layers.batchNormalization({ momentum: 0.5, name: 'batch' }).apply(x);
    const first = model({ inputs: x, outputs: h });
    const second = model({ inputs: x, outputs: layers.dense({ units: 1 }).apply(h) });
    second.compile({ optimizer: 'sgd', loss: 'mse' });
    await second.trainOnBatch(rows(8, 3), rows(8, 1));
    const moved = first.getWeight('batch/movingMean').data;
    expect(moved.some((v) => v !== 0)).toBe(true);
    expect(moved).toEqual(second.getWeight('batch/movingMean').data);
  });

  it('the encoder and the decoder of a translator, taken apart for use', async () => {
    const source = input({ shape: [null, 3] });
    const [, h, c] = layers.lstm({ units: 2, returnState: true }).apply<SymbolicTensor[]>(source);
    const target = input({ shape: [null, 2] });
    const decode = layers.lstm({ units: 2, returnSequences: true, returnState: true });
    const [sequence] = decode.apply<SymbolicTensor[]>(target, { initialState: [h, c] });
    const head = layers.dense({ units: 2 });
    const trained = model({ inputs: [source, target], outputs: head.apply(sequence) });
    const encoder = model<NdArray[]>({ inputs: source, outputs: [h, c] });
    const states = [input({ shape: [2] }), input({ shape: [2] })];
    const [y, ...next] = decode.apply<SymbolicTensor[]>(target, { initialState: states });
    const decoder = model<NdArray[]>({ inputs: [target, ...states], outputs: [head.apply(y), ...next] });
    trained.compile({ optimizer: 'adam', loss: 'mse' });
    const [a, b] = [rows(4, 5, 3), rows(4, 3, 2)];
    await trained.fit([a, b], b, { epochs: 2, verbose: 0 });
    const whole = await trained.predict([a, b]);
    let state = await encoder.predict(a);
    for (let t = 0; t < 3; t++) {
      const now = NdArray.from(
        Float32Array.from({ length: 8 }, (_, i) => b.data[Math.floor(i / 2) * 6 + t * 2 + (i % 2)]),
        [4, 1, 2],
      );
      const [out, ...following] = await decoder.predict([now, ...state]);
      out.data.forEach((v, i) => expect(v).toBeCloseTo(whole.data[Math.floor(i / 2) * 6 + t * 2 + (i % 2)], 5));
      state = following;
    }
  });

  it('a model within another learns with it, and the other way', async () => {
    const inner = sequential([layers.input({ shape: [4, 3] }), layers.gru({ units: 2 })], { name: 'inner' });
    const x = input({ shape: [4, 3] });
    const outer = model({ inputs: x, outputs: layers.dense({ units: 1 }).apply(inner.apply(x)) });
    outer.compile({ optimizer: 'adam', loss: 'mse' });
    await outer.fit(rows(4, 4, 3), rows(4, 1), { epochs: 2, verbose: 0 });
    expect(inner.getWeight('gru/kernel').data).toEqual(outer.getWeight('inner/gru/kernel').data);
    inner.setWeight('gru/kernel', rows(3, 6));
    close(outer.getWeight('inner/gru/kernel'), rows(3, 6));
  });

  it('descriptions that stand in sequential models are placed anew in each', async () => {
    const dense = layers.dense({ units: 2 });
    const [a, b] = [1, 2].map((seed) => sequential([layers.input({ shape: [3] }), dense], { seed }));
    expect(a.getWeights()[0].data).not.toEqual(b.getWeights()[0].data);
  });

  it('that would need other weights are refused with both shapes', () => {
    const dense = layers.dense({ units: 2, name: 'd' });
    const [p, q] = [input({ shape: [3] }), input({ shape: [5] })];
    const [a, b] = [dense.apply(p), dense.apply(q)];
    model({ inputs: p, outputs: a });
    expect(() => model({ inputs: q, outputs: b })).toThrow(
      /d\/kernel: expected inputs that need \(3, 2\), as in the other model with this layer, received \(5, 2\).*make two layers/,
    );
  });

  it('wait for the model that runs', async () => {
    const { whole, encoder } = autoencoder();
    const x = rows(6, 4, 3);
    whole.compile({ optimizer: 'adam', loss: 'mse' });
    await whole.predict(x);
    const running = whole.fit(x, x, { epochs: 30, batchSize: 2, verbose: 0 });
    await Promise.allSettled([encoder.predict(x)]);
    await running;
    expect(encoder.getWeight('code/kernel').data).toEqual(whole.getWeight('code/kernel').data);
  });
});

describe('models that start in the middle', () => {
  it('take the place of what stood before, with its shape and type', async () => {
    const x = input({ shape: [3] });
    const h = layers.dense({ units: 2, activation: 'tanh' }).apply(x);
    const z = layers.dense({ units: 4 }).apply(h);
    const skip = layers.concatenate().apply([h, z]);
    const end = model({ inputs: h, outputs: skip });
    const whole = model<NdArray[]>({ inputs: x, outputs: [h, skip] });
    const [middle, y] = await whole.predict(rows(5, 3));
    close(await end.predict(middle), y);
  });
  it('need all that the outputs depend on', () => {
    const [p, q] = [input({ shape: [3], name: 'p' }), input({ shape: [3], name: 'q' })];
    const h = layers.dense({ units: 3 }).apply(p);
    const y = layers.add().apply([h, q]);
    expect(() => model({ inputs: h, outputs: y })).toThrow(/'q' among them, which an output depends on/);
    expect(() => model({ inputs: [h, q, p], outputs: y })).toThrow(/'p', which none of the outputs depends on/);
  });
});

// Trains a small model off the main thread of the page. The marker of a sequence says which of two classes it is.
import { layers, openMachine, sequential, setThreads } from '/dist/bundle/index.js';

try {
  const { traits } = await openMachine();
  const x = Array.from({ length: 64 }, (_, i) =>
    Array.from({ length: 12 }, (_, t) => [t === i % 5 ? (i % 2 ? 1 : -1) : 0]),
  );
  const y = Array.from({ length: 64 }, (_, i) => [i % 2]);
  // Memory can be shared where the page came with COOP and COEP.
  setThreads(self.crossOriginIsolated ? 2 : 1, { smallestShare: 0 });
  const model = sequential([layers.lstm({ units: 8 }), layers.dense({ units: 1, activation: 'sigmoid' })]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  const started = performance.now();
  const { history } = await model.fit(x, y, { epochs: 40, batchSize: 16, verbose: 0 });
  const prediction = await model.predict(x);
  postMessage({
    host: traits.host,
    isa: traits.isa,
    shared: self.crossOriginIsolated,
    weights: model.getWeights().map(({ data }) => [...data]),
    first: history.loss[0],
    last: history.loss.at(-1),
    accuracy: history.accuracy.at(-1),
    shape: [...prediction.shape],
    milliseconds: Math.round(performance.now() - started),
  });
} catch (error) {
  postMessage({ error: `${error.name}: ${error.message}\n${error.stack}` });
}

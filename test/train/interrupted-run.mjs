/** A run of fit in a process of its own, for `kill.test.ts`: arguments are the folder of the package, the snapshot and where the end is written. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [root, path, out] = process.argv.slice(2);
const { callbacks, dataset, layers, sequential } = await import(pathToFileURL(join(root, 'dist/index.js')).href);

const x = Array.from({ length: 48 }, (_, i) =>
  Array.from({ length: 1 + ((i * 7) % 13) }, (_, t) => ((i * 5 + t * 3) % 19) + 1),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));
const model = sequential(
  [
    layers.embedding({ inputDim: 20, outputDim: 4, maskZero: true }),
    layers.lstm({ units: 6, dropout: 0.2 }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ],
  { seed: 5 },
);
model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
const { epoch, history } = await model.fit(
  dataset.fromArrays(x, y).shuffle(30, 2).bucketByLength({ tokensPerBatch: 96 }),
  {
    epochs: 12,
    verbose: 0,
    callbacks: [
      // Says that a step is done, and gives the process that watches a moment to act.
      {
        onBatchEnd: async () => {
          process.stdout.write('.');
          await new Promise((resolve) => setTimeout(resolve, 4));
        },
      },
      callbacks.earlyStopping({ monitor: 'loss', patience: 9 }),
      callbacks.backupAndRestore({ path, saveFrequency: 2 }),
    ],
  },
);
const weights = model.getWeights().map((w) => Array.from(w.data));
writeFileSync(out, JSON.stringify({ weights, epoch, history, iterations: model.iterations }));

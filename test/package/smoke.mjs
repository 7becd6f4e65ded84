// Uses the built package by its name, in plain JavaScript: trains a small model until it has learnt something, saves, loads, answers.
// UNROLLED_EXPECT_HOST: the host that must have been chosen.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layers, loadModel, openMachine, sequential, text } from 'unrolled';

const { traits } = await openMachine();
console.log(`Node ${process.versions.node}: ${traits.host}, ${traits.isa}`);
const expected = process.env.UNROLLED_EXPECT_HOST;
if (expected) assert.equal(traits.host, expected);
if (process.env.UNROLLED_ISA) assert.equal(traits.isa, process.env.UNROLLED_ISA);

const good = ['a good phone', 'really good', 'good sound and good looks', 'works and is good', 'it is good'];
const bad = ['a bad phone', 'really bad', 'bad sound and bad looks', 'broke and is bad', 'it is bad'];
const texts = [...good, ...bad];
const labels = texts.map((_, i) => (i < good.length ? 1 : 0));
const tokenizer = new text.Tokenizer({ oovToken: '[UNK]' });
tokenizer.fitOnTexts(texts);
const x = text.padSequences(tokenizer.textsToSequences(texts));
const model = sequential([
  layers.embedding({ inputDim: tokenizer.wordIndex.size + 1, outputDim: 8, maskZero: true }),
  layers.lstm({ units: 8 }),
  layers.dense({ units: 1, activation: 'sigmoid' }),
]);
model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
const { history } = await model.fit(x, labels, { epochs: 120, batchSize: 5, verbose: 0 });
const last = history.loss.at(-1);
assert.ok(last < 0.3 && last < history.loss[0], `loss went from ${history.loss[0]} to ${last}`);

const folder = mkdtempSync(join(tmpdir(), 'unrolled-smoke-'));
await model.save(join(folder, 'model.unrolled'), { tokenizer });
const loaded = await loadModel(join(folder, 'model.unrolled'));
const ask = text.padSequences(loaded.tokenizer.textsToSequences(['good', 'bad']), { maxlen: x.shape[1] });
const answers = await loaded.model.predict(ask);
assert.deepEqual(Array.from(answers.data), Array.from((await model.predict(ask)).data));
assert.ok(answers.data[0] > 0.5 && answers.data[1] < 0.5, `good ${answers.data[0]}, bad ${answers.data[1]}`);
rmSync(folder, { recursive: true });
console.log(
  `loss ${history.loss[0].toFixed(3)} -> ${last.toFixed(3)}; good ${answers.data[0].toFixed(2)}, bad ${answers.data[1].toFixed(2)}`,
);

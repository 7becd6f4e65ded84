/** A classifier of sentences, from text to answer. Run it with `npm run examples`. */
import { layers, sequential, text } from 'unrolled';

const good = [
  'a wonderful film',
  'I loved it',
  'great acting and a great story',
  'not bad at all',
  'worth every minute',
];
const bad = ['a horrible film', 'I hated it', 'bad acting and a dull story', 'not good at all', 'a waste of time'];

const tokenizer = new text.Tokenizer({ oovToken: '[UNK]' });
tokenizer.fitOnTexts([...good, ...bad]);
const encode = (sentences: string[]) => text.padSequences(tokenizer.textsToSequences(sentences), { maxlen: 8 });

const model = sequential([
  layers.embedding({ inputDim: tokenizer.wordIndex.size + 1, outputDim: 16, maskZero: true }),
  layers.gru({ units: 16 }),
  layers.dense({ units: 1, activation: 'sigmoid' }),
]);
model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
const labels = [...good.map(() => 1), ...bad.map(() => 0)];
const { history } = await model.fit(encode([...good, ...bad]), labels, { epochs: 100, batchSize: 5, verbose: 0 });
console.log(`loss ${history.loss[0].toFixed(3)} -> ${history.loss[99].toFixed(3)}`);

const asked = ['a great film', 'a dull waste'];
const answers = await model.predict(encode(asked));
asked.forEach((sentence, i) => console.log(sentence, answers.data[i].toFixed(2)));

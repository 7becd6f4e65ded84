/** The main job: trains a classifier on labelled texts, judges it on held-out ones beside two baselines, and saves it with its curves. */
import { access, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type LabelledTexts, plotHistory, readLabelledTexts, stratifiedSplit, UnrolledError } from '../index.ts';
import { bagOfWordsAccuracy, majorityAccuracy } from './baselines.ts';
import { Classifier } from './classifier.ts';
import { layerTitles, type TrainOptions } from './options.ts';

interface Part {
  texts: string[];
  labels: number[];
}

interface Prepared {
  name: string;
  train: Part;
  heldOut: Part;
  classes: readonly string[];
}

/** What `fit` left: the curves so far, and whether it was stopped. */
interface Course {
  curves: Record<string, number[]>;
  seconds: number;
  interrupted: boolean;
}

/** The 1,000 reviews of phones inside the npm package wink-sentiment (a development dependency of the repository). */
function sampleReviews(): string {
  try {
    const main = createRequire(import.meta.url).resolve('wink-sentiment/package.json');
    return join(dirname(main), 'test', 'data', 'amazon_cells_labelled.txt');
  } catch {
    throw new UnrolledError(
      'IO',
      'sample reviews: expected the npm package wink-sentiment, received none. Install it (npm install wink-sentiment), or give your own file with --data FILE.',
    );
  }
}

function pick(data: LabelledTexts, positions: readonly number[]): Part {
  return { texts: positions.map((i) => data.texts[i]), labels: positions.map((i) => data.labels[i]) };
}

async function prepare(options: TrainOptions): Promise<Prepared> {
  const columns = { labelColumn: options.labelColumn, textColumn: options.textColumn };
  const path = options.data ?? sampleReviews();
  const data = await readLabelledTexts(path, columns);
  const { classes } = data;
  if (classes.length < 2)
    throw new UnrolledError(
      'DATA',
      `${path}: expected at least two classes, received only ${classes[0]} in ${data.labels.length} rows.`,
    );
  const name = options.data ? (options.data.split('/').pop() as string) : '1,000 reviews of phones';
  if (!options.testData) {
    const { train, heldOut } = stratifiedSplit(data.labels, options.heldOut, options.seed);
    if (heldOut.length === 0)
      throw new UnrolledError(
        'DATA',
        `${path}: expected enough rows to hold some out, received ${data.labels.length}. Give --test-data FILE or a larger --held-out.`,
      );
    return { name, train: pick(data, train), heldOut: pick(data, heldOut), classes };
  }
  const test = await readLabelledTexts(options.testData, columns);
  const unknown = test.classes.find((c) => !classes.includes(c));
  if (unknown !== undefined)
    throw new UnrolledError(
      'DATA',
      `${options.testData}: expected the labels of the training data (${classes.join(', ')}), received ${unknown}.`,
    );
  const labels = test.labels.map((label) => classes.indexOf(test.classes[label]));
  return { name, train: { texts: data.texts, labels: data.labels }, heldOut: { texts: test.texts, labels }, classes };
}

/** Finds out before the training, not after it, whether the results can be written. */
async function checkWritable(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await access(dirname(path), constants.W_OK);
  } catch (cause) {
    throw new UnrolledError(
      'IO',
      `--out ${path}: expected a folder that can be written to, received: ${(cause as Error).message}. Choose another with --out FILE.`,
    );
  }
}

async function writeWhole(path: string, content: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  try {
    await writeFile(partial, content);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw new UnrolledError(
      'IO',
      `${path}: expected room to write ${content.length} characters, received: ${(cause as Error).message}.`,
    );
  }
}

/** Fits until the end or Ctrl-C; then the weights are those of the last finished epoch. A second Ctrl-C ends the process at once. */
async function teach(classifier: Classifier, { train, heldOut }: Prepared, options: TrainOptions): Promise<Course> {
  const { model } = classifier;
  const curves: Record<string, number[]> = {};
  const stop = new AbortController();
  const onInterrupt = () => {
    if (stop.signal.aborted) process.exit(130);
    console.log('\nStopping. Once more Ctrl-C ends at once, without saving.');
    stop.abort();
  };
  process.on('SIGINT', onInterrupt);
  let finished = 0;
  let weights = model.getWeights();
  const started = performance.now();
  try {
    await model.fit(classifier.encode(train.texts), Int32Array.from(train.labels), {
      epochs: options.epochs,
      batchSize: options.batch,
      validationData: [classifier.encode(heldOut.texts), Int32Array.from(heldOut.labels)],
      signal: stop.signal,
      callbacks: [
        {
          onEpochEnd(epoch: number, logs: Readonly<Record<string, number>>) {
            finished = epoch + 1;
            weights = model.getWeights();
            for (const [key, value] of Object.entries(logs)) (curves[key] ??= []).push(value);
          },
        },
      ],
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
  if (stop.signal.aborted) model.setWeights(weights);
  return {
    curves,
    seconds: (performance.now() - started) / 1000,
    interrupted: stop.signal.aborted && finished < options.epochs,
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

async function judge(
  classifier: Classifier,
  { train, heldOut, classes }: Prepared,
): Promise<{ accuracy: number; report: string }> {
  const right = (await classifier.answer(heldOut.texts)).filter(
    (a, i) => a.label === classes[heldOut.labels[i]],
  ).length;
  const accuracy = right / heldOut.labels.length;
  const majority = majorityAccuracy(train.labels, heldOut.labels);
  const sequences = (part: Part) => ({
    sequences: classifier.tokenizer.textsToSequences(part.texts),
    labels: part.labels,
  });
  const words = Math.min(
    classifier.tokenizer.numWords ?? Number.POSITIVE_INFINITY,
    classifier.tokenizer.wordIndex.size + 1,
  );
  const bag = bagOfWordsAccuracy(sequences(train), sequences(heldOut), words, classes.length);
  const best = Math.max(majority, bag);
  const deviation = Math.sqrt((accuracy * (1 - accuracy)) / heldOut.labels.length);
  const rival = bag >= majority ? 'the bag of words' : 'the majority class';
  const verdict =
    Math.abs(accuracy - best) <= deviation
      ? `It is as good as ${rival}: the difference is within one standard error.`
      : accuracy > best
        ? 'It beats both baselines.'
        : `It does NOT beat ${rival}: here the order of the words brought nothing.`;
  const report = [
    `Held-out accuracy  ${percent(accuracy)}  (${right} of ${heldOut.labels.length}; one standard error is ${(100 * deviation).toFixed(1)} points)`,
    `  bag of words     ${percent(bag)}`,
    `  majority class   ${percent(majority)}`,
    verdict,
  ].join('\n');
  return { accuracy, report };
}

/** Gives the classifier and whether the training was interrupted; null where nothing was worth keeping. */
export async function trainClassifier(
  options: TrainOptions,
): Promise<{ classifier: Classifier; interrupted: boolean } | null> {
  await checkWritable(options.out);
  const prepared = await prepare(options);
  const { train, heldOut, classes } = prepared;
  const classifier = Classifier.create(train.texts, classes, options.length, options);
  const { model } = classifier;
  console.log(
    `${prepared.name}: ${train.labels.length} rows to train on, ${heldOut.labels.length} held out, classes ${classes.join(', ')}`,
  );
  console.log(
    `vocabulary ${classifier.tokenizer.wordIndex.size} words (${options.words} at most are used), length ${classifier.length}\n`,
  );
  model.compile({ optimizer: optimizerOf(options), loss: classifier.loss, metrics: ['accuracy'] });
  model.build([null, classifier.length]);
  model.summary();
  const course = await teach(classifier, prepared, options);
  const epochs = course.curves.loss?.length ?? 0;
  if (epochs === 0) {
    console.log('\nInterrupted before the first epoch was finished: nothing was saved.');
    return null;
  }
  await classifier.save(options.out);
  if (course.interrupted) {
    console.log(
      `\nInterrupted: the model after epoch ${epochs} of ${options.epochs}, the last finished one, is saved as ${options.out}`,
    );
    return { classifier, interrupted: true };
  }
  const { accuracy, report } = await judge(classifier, prepared);
  console.log(`\n${report}`);
  const curves = `${options.out.replace(/\.[^./]*$/, '')}.svg`;
  const subtitle = `${prepared.name}: ${train.labels.length} to train on, ${heldOut.labels.length} held out; held-out accuracy ${percent(accuracy)}`;
  await writeWhole(
    curves,
    await plotHistory(course.curves, { title: `Review classifier, ${layerTitles[options.layer]}`, subtitle }),
  );
  console.log(`\nTrained in ${course.seconds.toFixed(1)} s. Model: ${options.out}  Learning curves: ${curves}`);
  return { classifier, interrupted: false };
}

function optimizerOf({ optimizer, learningRate }: TrainOptions) {
  return learningRate === undefined ? optimizer : { class_name: optimizer, config: { learning_rate: learningRate } };
}

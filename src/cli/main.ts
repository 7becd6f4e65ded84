#!/usr/bin/env node
/** The command `unrolled` (`npm start` in the repository). Exit codes: 0 done, 1 an error with its reason, 130 stopped by Ctrl-C. */
import { readFileSync } from 'node:fs';
import { UnrolledError } from '../index.ts';
import { answerTyped, printAnswers } from './ask.ts';
import { Classifier } from './classifier.ts';
import { commandLine, type TrainOptions } from './options.ts';
import { trainClassifier } from './train-classifier.ts';

/** Piped lines that do not start within this time after a training are not waited for. */
const patience = 1000;

async function run(sentences: string[], options: TrainOptions): Promise<void> {
  if (options.model) {
    const classifier = await Classifier.load(options.model);
    if (sentences.length) await printAnswers(classifier, sentences);
    else if (options.ask) await answerTyped(classifier, null);
    return;
  }
  const trained = await trainClassifier(options);
  if (!trained || trained.interrupted) {
    process.exitCode = 130;
    return;
  }
  if (sentences.length) {
    console.log('');
    await printAnswers(trained.classifier, sentences);
  } else if (options.ask) await answerTyped(trained.classifier, patience);
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
try {
  await commandLine(version).action(run).parseAsync();
} catch (error) {
  if (!(error instanceof UnrolledError) || error.code === 'INTERNAL') throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}

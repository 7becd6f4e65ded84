/** Answers for sentences: those of the command line, typed ones, or piped lines. */
import { fstatSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Classifier } from './classifier.ts';

const barWidth = 20;

/** `0.93 ███████████████████░ 1  the sentence`: the class with its probability. */
export async function printAnswers(classifier: Classifier, sentences: readonly string[]): Promise<void> {
  const answers = await classifier.answer(sentences);
  answers.forEach(({ label, probability, knownWords }, i) => {
    const filled = Math.round(probability * barWidth);
    const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
    const note = knownWords === 0 ? '  (no word of it is known)' : '';
    console.log(`${label.padEnd(8)} ${probability.toFixed(3)} ${bar}  ${sentences[i]}${note}`);
  });
}

/** A standard input that is a file, a pipe or a socket; a terminal and /dev/null are not. */
function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

/**
 * Reads sentences until the end of the input (in a terminal also an empty line). Where nothing is piped within `patience` milliseconds,
 * it ends: a program that starts this one and leaves a pipe open is not kept waiting. Null waits without limit.
 */
export async function answerTyped(classifier: Classifier, patience: number | null): Promise<void> {
  const terminal = process.stdin.isTTY === true;
  if (!terminal && !isPiped()) return;
  const lines = createInterface({ input: process.stdin, output: terminal ? process.stdout : undefined, prompt: '> ' });
  if (terminal) {
    console.log('\nType a sentence to judge it; an empty line ends.');
    lines.prompt();
  }
  const timer = terminal || patience === null ? undefined : setTimeout(() => lines.close(), patience);
  for await (const line of lines) {
    clearTimeout(timer);
    const sentence = line.trim();
    if (sentence) await printAnswers(classifier, [sentence]);
    else if (terminal) break;
    if (terminal) lines.prompt();
  }
  clearTimeout(timer);
  lines.close();
  process.stdin.destroy();
}

/**
 * When a loss or a gradient stops being finite: where it began. The step that failed is run once more on the same batch, with the weights of
 * the last good step and the same draws, with everything in view (`inspect-trace.ts`); the first value of the forward order that is not
 * finite is where it began, else the first one on the way back.
 */
import { NdArray } from '../core/array.ts';
import { UnrolledError } from '../core/errors.ts';
import { type Statistics, statisticsOf } from './anomaly-statistics.ts';
import type { ReadyBatch } from './batches.ts';
import { gradientAt, type Looked, runLook, valuesAt } from './inspect-run.ts';
import type { Found, FoundPart } from './inspect-trace.ts';
import type { Session } from './session.ts';
import { shapesKey } from './steps.ts';
import type { Trainer } from './trainer.ts';

/** What is looked at: a value of the forward order, or the gradient of one. */
export type AnomalyKind = 'input' | 'weight' | 'state' | 'gate' | 'output' | 'loss' | 'gradient' | 'weight gradient';

/** One line of the report. */
export interface AnomalyRow extends Statistics {
  /** Path of the layer, or of the weight: `encoder/lstm`. */
  readonly layer: string;
  readonly kind: AnomalyKind;
  /** `h`, `forget`, `output`. */
  readonly name: string;
  /** Steps of the time; null: it has none. */
  readonly steps: number | null;
}

/** Where a value stopped being finite. */
export interface Anomaly {
  readonly layer: string;
  readonly kind: AnomalyKind;
  readonly name: string;
  readonly is: 'NaN' | 'infinite';
  /** The step of the time at which it began, with `tbptt` counted from the start of the window; null: the value has no time. */
  readonly step: number | null;
  /** Samples of the data (of the batch, for data that comes in batches) in which it is so at this step. */
  readonly samples: readonly number[];
}

const number = (x: number) => (Number.isFinite(x) ? Number(x.toPrecision(3)).toString() : String(x));

const listed = (samples: readonly number[]) =>
  samples.length > 6 ? `${samples.slice(0, 6).join(', ')} and ${samples.length - 6} more` : samples.join(', ');

/** What the closer look at a step that was not finite found. Prints as a table. */
export class AnomalyReport {
  /** Where it began; null: every value is finite by itself (see `note`). */
  readonly first: Anomaly | null;
  /** All that was looked at, in the order in which it is computed: forward, then backward. */
  readonly rows: readonly AnomalyRow[];
  /** What there is to say besides, as a sentence. */
  readonly note: string;

  constructor(first: Anomaly | null, rows: readonly AnomalyRow[], note: string) {
    this.first = first;
    this.rows = rows;
    this.note = note;
  }

  /** In one or two sentences: layer, step and statistic. */
  describe(): string {
    const { first, note } = this;
    if (!first) return note;
    const what = {
      input: `the input`,
      weight: 'the weight',
      state: `state ${first.name}`,
      gate: `gate ${first.name}`,
      output: `the ${first.name}`,
      loss: `the ${first.name}`,
      gradient: `the gradient of ${first.name}`,
      'weight gradient': 'the gradient of this weight',
    }[first.kind];
    const back = first.kind === 'gradient' ? ', on the way back' : '';
    const step = first.step === null ? '' : ` from step ${first.step} on${back}`;
    const samples = first.samples.length
      ? ` (sample${first.samples.length > 1 ? 's' : ''} ${listed(first.samples)})`
      : '';
    return `${first.layer}: ${what} is ${first.is}${step}${samples}; ${note}`;
  }

  /** The table: layer, value, largest |x| and its step, how many are NaN or infinite, and since when. */
  toString(): string {
    const head = ['layer', 'value', 'steps', 'largest', 'at step', 'NaN', 'infinite', 'not finite from'];
    const lines = this.rows.map((row) => [
      row.layer,
      row.kind === 'weight' || row.kind === 'weight gradient' ? row.kind : `${row.kind} ${row.name}`,
      row.steps === null ? '' : String(row.steps),
      number(row.largest),
      row.largestStep === null ? '' : String(row.largestStep),
      String(row.nans),
      String(row.infinities),
      row.first ? (row.first.step === null ? 'all of it' : `step ${row.first.step}`) : '',
    ]);
    const widths = head.map((word, i) => Math.max(word.length, ...lines.map((line) => line[i].length)));
    const pad = (line: readonly string[]) =>
      line
        .map((word, i) => (i < 2 ? word.padEnd(widths[i]) : word.padStart(widths[i])))
        .join('  ')
        .trimEnd();
    return [this.describe(), '', pad(head), widths.map((w) => '-'.repeat(w)).join('  '), ...lines.map(pad)].join('\n');
  }
}

/** A loss or a gradient stopped being finite. The weights are those of the last good step. */
export class NumericError extends UnrolledError {
  /** null: the closer look failed, the message says why. */
  readonly report: AnomalyReport | null;

  constructor(message: string, report: AnomalyReport | null) {
    super('NUMERIC', message);
    this.name = 'NumericError';
    this.report = report;
  }
}

/** What the closer look works on. */
export interface Failed {
  readonly session: Session;
  readonly trainer: Trainer;
  readonly batch: ReadyBatch;
  /** Of the step that failed. */
  readonly loss: number;
}

const isInput = ({ className }: FoundPart) => className === 'InputLayer';

/** The lines of the forward order. */
function forwardRows(looked: Looked): AnomalyRow[] {
  const row = (part: FoundPart, kind: AnomalyKind, found: Found, time: boolean): AnomalyRow => {
    const mask = part.mask && valuesAt(looked, part.mask);
    const fits = time && mask && mask.shape[1] === found.shape[1] ? mask : null;
    return {
      layer: part.path,
      kind,
      name: found.name,
      steps: time ? found.shape[1] : null,
      ...statisticsOf(valuesAt(looked, found), time, fits, part.goBackwards),
    };
  };
  return [
    ...looked.look.parts.flatMap((part) => [
      ...part.gates.map((gate) => row(part, 'gate', gate, true)),
      ...part.states.map((state) => row(part, 'state', state, true)),
      ...part.outputs.map((y) => row(part, isInput(part) ? 'input' : 'output', y, y.shape.length >= 3)),
    ]),
    ...looked.look.losses.map((found): AnomalyRow => {
      const time = found.shape.length >= 2;
      const statistics = statisticsOf(valuesAt(looked, found), time, null, false);
      return { layer: 'loss', kind: 'loss', name: found.name, steps: time ? found.shape[1] : null, ...statistics };
    }),
  ];
}

/** The lines of the backward order: from the loss to the inputs, then the weights. */
function backwardRows(looked: Looked): AnomalyRow[] {
  const row = (part: FoundPart, found: Found, time: boolean): AnomalyRow[] => {
    const gradient = gradientAt(looked, found);
    if (!gradient) return [];
    const statistics = statisticsOf(gradient, time, null, !part.goBackwards);
    return [
      { layer: part.path, kind: 'gradient', name: found.name, steps: time ? found.shape[1] : null, ...statistics },
    ];
  };
  const parts = [...looked.look.parts].reverse();
  return [
    ...parts.flatMap((part) => [
      ...part.outputs.flatMap((y) => row(part, y, y.shape.length >= 3)),
      ...part.states.flatMap((state) => row(part, state, true)),
    ]),
    ...looked.look.weights.flatMap((weight): AnomalyRow[] => {
      const gradient = gradientAt(looked, weight);
      if (!gradient) return [];
      const flat = NdArray.from(gradient.data, [1, gradient.data.length]);
      const statistics = statisticsOf(flat, false, null, false);
      return [{ layer: weight.name, kind: 'weight gradient', name: 'gradient', steps: null, ...statistics }];
    }),
  ];
}

function weightRows({ session, trainer }: Failed): AnomalyRow[] {
  return trainer.weightPaths.flatMap((path): AnomalyRow[] => {
    const values = session.get(path);
    const statistics = statisticsOf(NdArray.from(values, [1, values.length]), false, null, false);
    return statistics.first ? [{ layer: path, kind: 'weight', name: 'weight', steps: null, ...statistics }] : [];
  });
}

/** Of several values of one walk, the one that stops first counts; the order of the lines decides where it is the same step. */
function firstOf(rows: readonly AnomalyRow[], backward: boolean): AnomalyRow | null {
  const at = rows.findIndex(({ first }) => first !== null);
  if (at < 0) return null;
  const found = rows[at];
  const later = (a: AnomalyRow, b: AnomalyRow) => {
    const [p, q] = [a.first?.step ?? 0, b.first?.step ?? 0];
    return backward ? p > q : p < q;
  };
  const walked: readonly AnomalyKind[] = ['gate', 'state'];
  // Gates and states of a layer follow from each other, step by step.
  return rows
    .slice(at)
    .filter((row) => row.first && row.layer === found.layer && walked.includes(found.kind) && walked.includes(row.kind))
    .reduce((best, row) => (later(row, best) ? row : best), found);
}

/** What else is known of the place where it began. */
function surroundings(row: AnomalyRow, rows: readonly AnomalyRow[]): string {
  const said = [`its largest finite value is ${number(row.largest)}`];
  if (row.largestStep !== null) said[0] += ` at step ${row.largestStep}`;
  if (row.kind === 'state' || row.kind === 'gate') {
    const gates = rows.filter((other) => other.layer === row.layer && other.kind === 'gate' && other !== row);
    const largest = gates.reduce<AnomalyRow | null>((best, g) => (best && best.largest >= g.largest ? best : g), null);
    if (largest) said.push(`the largest gate is ${largest.name} with ${number(largest.largest)}`);
  }
  return `${said.join(', ')}.`;
}

/** Runs the failed step once more with everything in view. */
export async function findAnomaly(failed: Failed): Promise<AnomalyReport> {
  const { session, trainer, batch } = failed;
  const bad = weightRows(failed);
  const key = `anomaly ${shapesKey(batch.shapes)} ${trainer.objectiveKey}`;
  const looked = await runLook(session, key, trainer.lookOptions(batch.shapes), {
    ...batch.feed(),
    ...trainer.drawFeed(),
  });
  const [forward, backward] = [forwardRows(looked), backwardRows(looked)];
  const rows = [...bad, ...forward, ...backward];
  const found = bad[0] ?? firstOf(forward, false) ?? firstOf(backward, true);
  if (!found?.first) {
    const gradients = backward.filter(({ kind }) => kind === 'weight gradient');
    const largest = gradients.reduce((best, row) => (row.largest > best.largest ? row : best), gradients[0]);
    const size = largest ? ` The largest gradient is ${number(largest.largest)}, of ${largest.layer}.` : '';
    return new AnomalyReport(
      null,
      rows,
      `Every value of the step is finite by itself; their sum, or a value in another order of computation, is not.${size}`,
    );
  }
  const { step, kind: is, rows: at } = found.first;
  const ofSamples = !['weight', 'weight gradient'].includes(found.kind);
  return new AnomalyReport(
    {
      layer: found.layer,
      kind: found.kind,
      name: found.name,
      is,
      step,
      samples: ofSamples ? at.map((i) => batch.sampleOf(i)).sort((a, b) => a - b) : [],
    },
    rows,
    surroundings(found, rows),
  );
}

/** CTC is infinite by its definition where labels do not fit into the steps, whatever the weights are. */
function whatToTry({ loss, trainer }: Failed): string {
  const ctc = trainer.objective.outputs.some((output) => output.loss.className === 'CTC');
  return ctc && loss === Number.POSITIVE_INFINITY
    ? 'Where labels are too many for the steps (repeated ones need a blank between), losses.ctc({ zeroInfinity: true }) leaves their rows out.'
    : 'Try a smaller learningRate, or globalClipnorm: 1 in the optimizer.';
}

/** The error for a step that is not finite, with what a closer look found. @param where such as `fit: epoch 1, batch 3` */
export async function numericError(where: string, failed: Failed): Promise<NumericError> {
  const { loss } = failed;
  const what = Number.isFinite(loss) ? 'a gradient that is not' : `${loss}`;
  const said = `${where}: expected a finite loss and gradients, received ${what}.`;
  const kept = `The weights are those of the last good step. ${whatToTry(failed)}`;
  try {
    const report = await findAnomaly(failed);
    return new NumericError(`${said} ${report.describe()} ${kept}`, report);
  } catch (error) {
    // A model near the limit of memory may have no room for a closer look: what happened is told all the same.
    const reason = error instanceof Error ? error.message : String(error);
    return new NumericError(`${said} ${kept} A closer look was not possible: ${reason}`, null);
  }
}

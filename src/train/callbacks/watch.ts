/** Looks inside the model while it is trained, and says when something goes wrong and what to try. */
import { flag, type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import type { Inspection } from '../inspect.ts';
import { diagnose, type TrainingWarning, thresholdOptions } from '../inspect-warnings.ts';
import type { Callback, TrainingRun } from './callback.ts';
import { say } from './notices.ts';
import { checkState } from './state.ts';
import { StepCounter, stepFrequency } from './step-counter.ts';

/** Norms that the running median is taken of. */
const remembered = 25;
/** Fewer norms have no median that says anything. */
const fewest = 4;

const positive = (fallback: number) =>
  option<number>('a positive number', (v) => typeof v === 'number' && v > 0, fallback);

const options = {
  /** How often to look: after every epoch, or after so many steps. Default `epoch`. */
  every: stepFrequency(),
  /** Rows of the batch of the last step that are looked at; stateful layers take all. Default 32. */
  sample: option<number>('a positive integer', (v) => Number.isSafeInteger(v) && (v as number) > 0, 32),
  /** The whole gradient is so many times the running median of its norms. Default 10. */
  explodingNorm: positive(10),
  ...thresholdOptions,
  /** Say warnings where the progress of the run is written. Default true. */
  print: flag(true),
  /** Told of every warning, the first time that it is given. Default none. */
  onWarning: option<((warning: TrainingWarning, run: TrainingRun) => void) | null>(
    'a function, or null',
    (v) => v === null || typeof v === 'function',
    null,
  ),
  /** Told of every look, for pictures of one's own. Default none. */
  onInspection: option<((inspection: Inspection, run: TrainingRun) => void | Promise<void>) | null>(
    'a function, or null',
    (v) => v === null || typeof v === 'function',
    null,
  ),
};

export type WatchOptions = OptionsIn<typeof options>;

interface State {
  readonly norms: readonly number[];
  readonly given: readonly string[];
  readonly steps: unknown;
}

/** What has been said so far. */
export interface Watch extends Callback {
  readonly warnings: readonly TrainingWarning[];
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Warns of gradients that explode (above a multiple of their running median, or through time) or vanish, of layers that hardly learn, of units
 * that are dead or never change, and of gates that are stuck; each once per layer, with what to try. A look costs about one step of training on
 * `sample` rows that is compiled once and keeps every value; nothing is changed by it.
 *
 * @example model.fit(x, y, { callbacks: [callbacks.watch({ every: 100 })] });
 */
export function watch(given?: WatchOptions): Watch {
  const config = parseOptions(options, given, 'callbacks.watch');
  const { every, sample, explodingNorm, print, onWarning, onInspection } = config;
  const { vanishing, exploding, tinyGradient, deadUnits, saturated, saturationMargin } = config;
  const thresholds = { vanishing, exploding, tinyGradient, deadUnits, saturated, saturationMargin };
  const steps = every === 'epoch' ? null : new StepCounter(every);
  const known = new Set<string>();
  const warnings: TrainingWarning[] = [];
  let norms: number[] = [];

  const grown = (norm: number): TrainingWarning[] => {
    const usual = norms.length >= fewest ? median(norms) : Number.POSITIVE_INFINITY;
    norms = [...norms, norm].slice(-remembered);
    if (!(norm > explodingNorm * usual)) return [];
    const ratio = norm / usual;
    return [
      {
        kind: 'exploding gradient',
        layer: 'model',
        value: ratio,
        message:
          `The gradient has a norm of ${Number(norm.toPrecision(2))}, ${Number(ratio.toPrecision(2))} times its running median. Try ` +
          'globalClipnorm: 1 in the optimizer, a smaller learningRate, or a schedule with a warm-up.',
      },
    ];
  };

  const look = async (run: TrainingRun): Promise<void> => {
    const inspection = await run.inspect({ rows: sample });
    for (const warning of [...grown(inspection.gradientNorm), ...diagnose(inspection, thresholds)]) {
      const id = `${warning.kind} ${warning.layer}`;
      if (known.has(id)) continue;
      known.add(id);
      warnings.push(warning);
      if (print) say(run, `Warning: ${warning.message}`);
      onWarning?.(warning, run);
    }
    await onInspection?.(inspection, run);
  };

  const callback: Watch = {
    name: 'watch',
    warnings,
    onTrainBegin: () => steps?.begin(),
    onEpochBegin: (epoch) => steps?.epoch(epoch),
    state: (): State => ({ norms, given: [...known], steps: steps?.state() ?? null }),
    restore(state) {
      const kept = checkState<State>(state, ['norms', 'given', 'steps'], 'watch');
      norms = [...kept.norms];
      for (const id of kept.given) known.add(id);
      if (steps && kept.steps) steps.restore(kept.steps);
    },
  };
  if (steps) return steps.listen(callback, (_batch, _logs, run) => look(run));
  callback.onEpochEnd = (_epoch, _logs, run) => look(run);
  return callback;
}

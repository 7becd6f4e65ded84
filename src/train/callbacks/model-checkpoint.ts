/** Saves the model while it is trained. Source: Keras 3, `keras/src/callbacks/model_checkpoint.py`. */
import { fail } from '../../core/errors.ts';
import { makeFolderOf, removeFile } from '../../formats/appended-file.ts';
import { flag, type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import { fixed } from '../decimals.ts';
import type { Callback, Logs, TrainingRun } from './callback.ts';
import { fileName } from './file-name.ts';
import { Monitor, monitorOptions, reference, verbosity } from './monitor.ts';
import { say } from './notices.ts';
import { checkState, readNumber, type StoredNumber, storeNumber } from './state.ts';
import { StepCounter, stepFrequency } from './step-counter.ts';

const positive = (v: unknown) => Number.isSafeInteger(v) && (v as number) > 0;

const options = {
  /**
   * Where to save. Places in braces are filled, in Python's formats: `epoch` (from 1), `batch` (from 1, with a `saveFreq` in steps) and every
   * name of the logs, as in `runs/{epoch:02d}-{val_loss:.2f}.unrolled`. Without places each save takes the place of the one before.
   */
  filepath: option<string, true>('a path', (v) => typeof v === 'string' && v.length > 0, undefined, true),
  ...monitorOptions,
  /** 1: say what is saved. Default 0. */
  verbose: verbosity(),
  /** Save only what is better, in `monitor`, than all before. Default false. */
  saveBestOnly: flag(false),
  /** Save weights and the optimizer's values, as `.safetensors`, for `model.loadWeights`; else the model, for `loadModel`. Default false. */
  saveWeightsOnly: flag(false),
  /** After every epoch, or after so many steps. Default `epoch`. */
  saveFreq: stepFrequency(),
  /** With `saveBestOnly`: what the first one must be better than. Default: none. */
  initialValueThreshold: reference(),
  /** How many of the files that this callback wrote are kept; older ones are removed. Default null: all. */
  keepLast: option<number | null>('a positive integer, or null', (v) => v === null || positive(v), null),
};

export type ModelCheckpointOptions = OptionsIn<typeof options>;

export interface ModelCheckpoint extends Callback {
  /** The best value so far; null: none. */
  readonly best: number | null;
  /** The files that were written and kept, the oldest first. */
  readonly files: readonly string[];
}

interface State {
  readonly best: StoredNumber;
  readonly files: readonly string[];
  readonly steps: unknown;
}

/**
 * Saves the model after every epoch, or every so many steps, all of them or only the best. A file is written beside its path and renamed, so
 * that the path never holds half a model.
 *
 * Errors: ARGUMENT for places that the logs cannot fill, and where `mode: 'auto'` does not know the metric; IO where the disk refuses: then
 * what was there before is whole.
 *
 * @example callbacks.modelCheckpoint({ filepath: 'runs/best.unrolled', monitor: 'val_accuracy', saveBestOnly: true })
 * @example callbacks.modelCheckpoint({ filepath: 'runs/{epoch:03d}.unrolled', keepLast: 3 })
 */
export function modelCheckpoint(given: ModelCheckpointOptions): ModelCheckpoint {
  const where = 'callbacks.modelCheckpoint';
  const config = parseOptions(options, given, where);
  const { saveFreq, saveBestOnly, saveWeightsOnly, verbose, keepLast } = config;
  if (saveWeightsOnly && !config.filepath.endsWith('.safetensors'))
    fail('ARGUMENT', `${where}.filepath`, 'an ending .safetensors with `saveWeightsOnly`', `'${config.filepath}'`);
  const monitor = new Monitor(config, where);
  let best: number | null = config.initialValueThreshold;
  let files: string[] = [];
  const steps = saveFreq === 'epoch' ? null : new StepCounter(saveFreq);

  /** Whether to save, with what is said about it. */
  const decide = (epoch: number, logs: Logs, path: string, run: TrainingRun): boolean => {
    const tell = (text: string) => verbose && say(run, `\nEpoch ${epoch + 1}: ${text}`);
    if (!saveBestOnly) {
      tell(`saving model to ${path}`);
      return true;
    }
    const value = monitor.value(logs, run.model, `Can save best model only with ${monitor.name} available.`);
    if (value === null) return true;
    const before = best === null ? 'None' : fixed(best, 5);
    if (!monitor.improves(value, best)) {
      tell(`${monitor.name} did not improve from ${before}`);
      return false;
    }
    tell(`${monitor.name} improved from ${before} to ${fixed(value, 5)}, saving model to ${path}`);
    best = value;
    return true;
  };

  const save = async (epoch: number, batch: number | null, logs: Logs, run: TrainingRun): Promise<void> => {
    const counts: Record<string, number> =
      batch === null ? { epoch: epoch + 1 } : { epoch: epoch + 1, batch: batch + 1 };
    const path = fileName(config.filepath, { ...counts, ...logs }, Object.keys(counts), `${where}.filepath`);
    if (!decide(epoch, logs, path, run)) return;
    await makeFolderOf(path);
    await (saveWeightsOnly ? run.model.saveWeights(path) : run.model.save(path));
    if (verbose) say(run, `\nEpoch ${epoch + 1}: finished saving model to ${path}`);
    files = [...files.filter((file) => file !== path), path];
    while (keepLast !== null && files.length > keepLast) await removeFile(files.shift() as string);
  };

  const callback: ModelCheckpoint = {
    name: 'modelCheckpoint',
    get best() {
      return best;
    },
    get files() {
      return files;
    },
    onTrainBegin({ model }) {
      if (saveBestOnly) monitor.prepare(model);
    },
    onEpochBegin: (epoch) => steps?.epoch(epoch),
    async onEpochEnd(epoch, logs, run) {
      if (saveFreq === 'epoch') await save(epoch, null, logs, run);
    },
    state: (): State => ({ best: storeNumber(best), files, steps: steps?.state() ?? null }),
    restore(state) {
      const kept = checkState<State>(state, ['best', 'files', 'steps'], 'modelCheckpoint');
      best = readNumber(kept.best);
      files = [...kept.files];
      steps?.restore(kept.steps);
    },
  };
  return steps ? steps.listen(callback, (batch, logs, run) => save(steps.current, batch, logs, run)) : callback;
}

/** Keeps a run on disk while it goes on. Source: Keras 3, `keras/src/callbacks/backup_and_restore.py`; here the resumed run has the same bits. */
import { fail } from '../../core/errors.ts';
import { makeFolderOf, removeFile } from '../../formats/appended-file.ts';
import { readIfThere, writeWhole } from '../../formats/file.ts';
import { flag, type OptionsIn, only, option, parseOptions } from '../../layers/options.ts';
import type { Callback, TrainingRun } from './callback.ts';
import { StepCounter, stepFrequency } from './step-counter.ts';

const options = {
  /** The file of the snapshot. One run has it for itself. */
  path: option<string, true>('a path', (v) => typeof v === 'string' && v.length > 0, undefined, true),
  /** After every epoch, or after so many steps. Default `epoch`. */
  saveFreq: stepFrequency(),
  /** Another name of `saveFreq`. */
  saveFrequency: option<'epoch' | number | null>(
    "'epoch', a positive number of steps, or null",
    (v) => v === null || v === 'epoch' || (Number.isSafeInteger(v) && (v as number) > 0),
    null,
  ),
  /** Remove the file when the training has reached its end. Default true. */
  deleteCheckpoint: flag(true),
  doubleCheckpoint: only(
    false,
    'One is enough: it is written beside its path and renamed, so that it is always whole.',
  ),
  backupDir: only(null, 'Write `path`, the name of a file.'),
};

export type BackupAndRestoreOptions = OptionsIn<typeof options>;

/**
 * Writes a snapshot of the run while it goes on, and takes the run up from there when the same program is started again after it was
 * interrupted, at whatever moment: it ends in the same weights and history, to the bit, as without the interruption. The file is written beside
 * its path and renamed, so that there is always a whole one.
 *
 * What is written: weights, optimizer, recurrent states, counters, the place in the shuffled data, the averages of the epoch, the history, and
 * what the other callbacks keep. The program has to be the same: model, seed, data, options.
 *
 * Errors: IO where the disk refuses: then the last snapshot is whole; FORMAT and ARGUMENT where the file is that of another run.
 *
 * @example await model.fit(x, y, { epochs: 50, callbacks: [callbacks.backupAndRestore({ path: 'runs/backup', saveFreq: 100 })] });
 */
export function backupAndRestore(given: BackupAndRestoreOptions): Callback {
  const where = 'callbacks.backupAndRestore';
  const config = parseOptions(options, given, where);
  const { path, deleteCheckpoint } = config;
  if (config.saveFrequency !== null && config.saveFreq !== 'epoch')
    fail('ARGUMENT', where, 'saveFreq or saveFrequency', 'both');
  const frequency = config.saveFrequency ?? config.saveFreq;
  const save = async (run: TrainingRun): Promise<void> => {
    const bytes = run.snapshot();
    await makeFolderOf(path);
    await writeWhole(path, bytes, undefined, true);
  };
  const callback: Callback = {
    name: 'backupAndRestore',
    last: true,
    resume: () => readIfThere(path),
    async onEpochEnd(_epoch, _logs, run) {
      if (frequency === 'epoch') await save(run);
    },
    async onTrainEnd() {
      if (deleteCheckpoint) await removeFile(path);
    },
  };
  if (frequency === 'epoch') return callback;
  const counter = new StepCounter(frequency);
  return counter.listen(
    {
      ...callback,
      onTrainBegin: () => counter.begin(),
      onEpochBegin: (epoch) => counter.epoch(epoch),
      state: () => counter.state(),
      restore: (state) => counter.restore(state),
    },
    (_batch, _logs, run) => save(run),
  );
}

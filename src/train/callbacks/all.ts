/** Every callback by its factory. */
import { backupAndRestore } from './backup-and-restore.ts';
import { csvLogger } from './csv-logger.ts';
import { earlyStopping } from './early-stopping.ts';
import { jsonLinesLogger } from './json-lines-logger.ts';
import { lambda } from './lambda.ts';
import { learningRateScheduler } from './learning-rate-scheduler.ts';
import { modelCheckpoint } from './model-checkpoint.ts';
import { progressBar } from './progress-bar.ts';
import { reduceLrOnPlateau } from './reduce-lr-on-plateau.ts';
import { swapEmaWeights } from './swap-ema-weights.ts';
import { tensorBoard } from './tensor-board.ts';
import { terminateOnNan } from './terminate-on-nan.ts';
import { watch } from './watch.ts';

/** The callbacks: `callbacks.earlyStopping({ patience: 3 })`. One's own is an object with the hooks that it needs. */
export const callbacks = {
  earlyStopping,
  modelCheckpoint,
  backupAndRestore,
  reduceLrOnPlateau,
  learningRateScheduler,
  csvLogger,
  jsonLinesLogger,
  tensorBoard,
  terminateOnNan,
  watch,
  swapEmaWeights,
  progressBar,
  lambda,
};

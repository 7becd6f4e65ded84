/** Writes event files for TensorBoard. Source of tags, runs and frequencies: Keras 3, `keras/src/callbacks/tensorboard.py`. */
import { fail } from '../../core/errors.ts';
import { EventFile, type EventFilePosition } from '../../formats/tensorboard.ts';
import { absent, flag, type OptionsIn, only, option, parseOptions } from '../../layers/options.ts';
import type { ModelData } from '../data.ts';
import type { Callback, Logs, TrainedModel, TrainingRun } from './callback.ts';
import { count } from './monitor.ts';
import { checkState } from './state.ts';
import { StepCounter } from './step-counter.ts';

/** A batch whose gradients are shown. */
export type GradientSample = readonly [x: ModelData, y: ModelData, sampleWeight?: ModelData];

type Plain = Readonly<Record<string, unknown>>;

const options = {
  /** The folder; the runs are its folders `train` and `validation`. Default `logs`. */
  logDir: option<string>('a path', (v) => typeof v === 'string' && v.length > 0, 'logs'),
  /** Every how many epochs histograms of the weights are written; 0: never. Default 0. */
  histogramFreq: count(0),
  /**
   * Samples of which, with `histogramFreq`, the gradients of the loss are written as histograms too: one batch, without dropout. Default null:
   * none. It costs one step without its update each time.
   */
  gradientSample: option<GradientSample | null>(
    'a list [x, y] or [x, y, sampleWeight], or null',
    (v) => v === null || (Array.isArray(v) && (v.length === 2 || v.length === 3)),
    null,
  ),
  /** Write the graph of the layers, and Keras's configuration as the conceptual graph. Default true. */
  writeGraph: flag(true),
  /** Write the summary of the model and the hyper-parameters as text. Default true. */
  writeText: flag(true),
  /** Added to the hyper-parameters that are written as text. Default none. */
  hyperparameters: option<Plain>('an object', (v) => typeof v === 'object' && v !== null && !Array.isArray(v), {}),
  writeImages: only(false, 'Weights are shown as histograms: set histogramFreq.'),
  /** Write steps per second, of every epoch, and with `updateFreq` in steps also between. Default false. */
  writeStepsPerSecond: flag(false),
  /** `epoch`; or `batch` or a number of steps: then the averages so far are written every so many steps too. Default `epoch`. */
  updateFreq: option<'epoch' | 'batch' | number>(
    "'epoch', 'batch' or a positive number of steps",
    (v) => v === 'epoch' || v === 'batch' || (Number.isSafeInteger(v) && (v as number) > 0),
    'epoch',
  ),
  profileBatch: only(0, 'Use a profiler of the process; bench/ measures steps.'),
  embeddingsFreq: only(0, 'The projector is not written.'),
  embeddingsMetadata: absent('Embeddings in the projector'),
};

export type TensorBoardOptions = OptionsIn<typeof options>;

interface State {
  readonly files: Readonly<Record<string, EventFilePosition>>;
  readonly steps: unknown;
}

type Run = 'train' | 'validation';

const cell = (value: unknown): string =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none')).replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Settings of `compile` and of the run, as a table in Markdown. */
function hyperparameters({ model, epochs, steps }: TrainingRun, own: Plain): string {
  const compiled = (model.toKerasConfig().compile_config ?? {}) as {
    readonly optimizer?: { readonly class_name?: string; readonly config?: Plain };
    readonly loss?: unknown;
    readonly metrics?: unknown;
  };
  const rows: [string, unknown][] = [
    ['optimizer', compiled.optimizer?.class_name ?? 'not known'],
    ...Object.entries(compiled.optimizer?.config ?? {}).filter(([name, value]) => value !== null && name !== 'name'),
    ['loss', compiled.loss ?? 'a function'],
    ['metrics', compiled.metrics ?? []],
    ['epochs', epochs],
    ['steps in an epoch', steps ?? 'not known'],
    ...Object.entries(own),
  ];
  return ['| name | value |', '|---|---|', ...rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`)].join(
    '\n',
  );
}

function writeModel(events: EventFile, run: TrainingRun, writeGraph: boolean, text: Plain | null): void {
  const { model } = run;
  if (writeGraph) {
    events.kerasModel('keras', model.toKerasConfig(), 0);
    events.graph(model.structure());
  }
  if (text) {
    events.text('summary', `\`\`\`\n${model.summary({ print: null, lineLength: 100 })}\n\`\`\``, 0);
    events.text('hyperparameters', hyperparameters(run, text), 0);
  }
}

/**
 * Scalars, histograms, the graph and texts for TensorBoard, as Keras lays them out: `epoch_loss`, every other name of the logs and
 * `epoch_learning_rate` in the runs `train` and `validation`, over epochs; `evaluation_loss_vs_iterations` over steps of the optimizer; with
 * `updateFreq` in steps `batch_loss`; `layer/weight/histogram`, and beyond Keras `gradients/layer/weight`, `summary` and `hyperparameters`.
 *
 * A run that is resumed goes on in its files, behind what was written before the snapshot. Errors: IO where the disk refuses; UNSUPPORTED for
 * profiles, embeddings and images.
 *
 * @example callbacks.tensorBoard({ logDir: 'runs/logs', histogramFreq: 1, gradientSample: [fewX, fewY] })
 */
export function tensorBoard(given?: TensorBoardOptions): Callback {
  const where = 'callbacks.tensorBoard';
  const config = parseOptions(options, given, where);
  const { logDir, updateFreq, histogramFreq, gradientSample, writeStepsPerSecond } = config;
  if (gradientSample && !histogramFreq)
    fail('ARGUMENT', `${where}.gradientSample`, 'histogramFreq above 0', '0', 'Write `histogramFreq: 1`.');
  const steps = updateFreq === 'epoch' ? null : new StepCounter(updateFreq === 'batch' ? 1 : updateFreq);
  let files: Partial<Record<Run, EventFile>> = {};
  let resumed: State | null = null;
  let epochStart = { time: 0, iterations: 0 };
  let batchStart = 0;
  let busy = { seconds: 0, from: 0 };

  const open = async (name: Run): Promise<EventFile> => {
    files[name] ??= await EventFile.open(resumed?.files[name] ?? { folder: `${logDir}/${name}` });
    return files[name];
  };
  const histograms = async (events: EventFile, model: TrainedModel, epoch: number): Promise<void> => {
    const values = model.getWeights();
    model.weights.forEach(({ path }, i) => events.histogram(`${path}/histogram`, values[i].data, epoch));
    if (!gradientSample) return;
    const [x, y, sampleWeight] = gradientSample;
    const { weightGradients } = await model.lossAndGradients(x, y, sampleWeight === undefined ? {} : { sampleWeight });
    model.weights.forEach(({ path, trainable }, i) => {
      if (trainable) events.histogram(`gradients/${path}`, weightGradients[i].data, epoch);
    });
  };

  const callback: Callback = {
    name: 'tensorBoard',
    async onTrainBegin(run) {
      for (const file of Object.values(files)) file.close();
      files = {};
      steps?.begin();
      busy = { seconds: 0, from: steps?.total ?? 0 };
      const events = await open('train');
      if (resumed?.files.validation) await open('validation');
      // A run that is resumed within an epoch has no beginning of it.
      epochStart = { time: performance.now(), iterations: run.model.iterations };
      if (!resumed) writeModel(events, run, config.writeGraph, config.writeText ? config.hyperparameters : null);
      events.flush();
      resumed = null;
    },
    onEpochBegin(epoch, { model }) {
      steps?.epoch(epoch);
      epochStart = { time: performance.now(), iterations: model.iterations };
    },
    async onTestEnd(logs, { model }) {
      const events = await open('validation');
      for (const [name, value] of Object.entries(logs))
        events.scalar(`evaluation_${name}_vs_iterations`, value, model.iterations);
      events.flush();
    },
    async onEpochEnd(epoch, logs, { model }) {
      const train = await open('train');
      const seconds = (performance.now() - epochStart.time) / 1000;
      const own: Record<string, number> = { ...logs, learning_rate: model.learningRate };
      if (writeStepsPerSecond) own.steps_per_second = (model.iterations - epochStart.iterations) / seconds;
      for (const [name, value] of Object.entries(own)) {
        if (name.startsWith('val_')) (await open('validation')).scalar(`epoch_${name.slice(4)}`, value, epoch);
        else train.scalar(`epoch_${name}`, value, epoch);
      }
      if (histogramFreq && epoch % histogramFreq === 0) await histograms(train, model, epoch);
      for (const file of Object.values(files)) file.flush();
    },
    onTrainEnd() {
      for (const file of Object.values(files)) file.close();
    },
    onTrainError() {
      for (const file of Object.values(files))
        try {
          file.close();
        } catch {
          // The first error is on its way, and the other files are to be closed too.
        }
    },
    state: (): State => ({
      files: resumed?.files ?? Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file.mark()])),
      steps: steps?.state() ?? null,
    }),
    restore(state) {
      resumed = checkState<State>(state, ['files', 'steps'], 'tensorBoard');
      if (steps && resumed.steps) steps.restore(resumed.steps);
    },
  };
  if (!steps) return callback;
  if (writeStepsPerSecond)
    callback.onBatchBegin = () => {
      batchStart = performance.now();
    };
  const listening = steps.listen(callback, (_batch: number, logs: Logs) => {
    if (writeStepsPerSecond && busy.seconds > 0)
      files.train?.scalar('batch_steps_per_second', (steps.total - busy.from) / busy.seconds, steps.total);
    busy = { seconds: 0, from: steps.total };
    for (const [name, value] of Object.entries(logs)) files.train?.scalar(`batch_${name}`, value, steps.total);
    files.train?.flush();
  });
  if (writeStepsPerSecond) {
    const { onBatchEnd } = listening;
    listening.onBatchEnd = (batch, logs, run) => {
      busy.seconds += (performance.now() - batchStart) / 1000;
      return onBatchEnd?.(batch, logs, run);
    };
  }
  return listening;
}

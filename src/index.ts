/** The public names of `unrolled`, one per line. */
// biome-ignore-all assist/source/organizeImports: grouped by what they are for

// Models
export { sequential } from './train/sequential.ts';
export { modelFromKerasConfig } from './train/from-keras.ts';
export { input } from './train/functional.ts';
export { model } from './train/functional.ts';
export type { FunctionalOptions } from './train/functional.ts';
export { loadModel } from './train/load.ts';
export { modelFromBytes } from './train/load.ts';
export { explain } from './train/explain.ts';
export { explainMask } from './train/explain-mask.ts';
export type { Model } from './train/model.ts';
export type { ActiveRows } from './train/stream.ts';
export type { StepInput } from './train/stream.ts';
export type { Stepper } from './train/stream.ts';
export type { StreamOptions } from './train/stream.ts';
export type { Sequential } from './train/sequential.ts';
export type { ModelOptions } from './train/model-options.ts';
export type { TimeMemory } from './engine/gradients.ts';
export type { PredictOptions } from './train/model-options.ts';
export type { EvaluateOptions } from './train/model-options.ts';
export type { DerivativeOptions } from './train/model-options.ts';
export type { WeightOptions } from './train/model-options.ts';
export type { Gradients } from './train/derivatives.ts';
export type { SummaryOptions } from './train/summary.ts';
export type { BundleSettings } from './train/bundling.ts';
export type { LoadedModel } from './train/load.ts';
export type { LoadOptions } from './train/load.ts';
export type { KerasConfigOptions } from './formats/keras-config.ts';

// Layers, and cells of one's own
export { layers } from './layers/all.ts';
export { defineCell } from './layers/cell.ts';
export { defineLayer } from './layers/layer.ts';
export { registerLayer } from './layers/from-keras.ts';
export { SymbolicTensor } from './layers/symbolic.ts';
export type { ApplyOptions } from './layers/symbolic.ts';
export type { StateInput } from './layers/symbolic.ts';
export type { CustomCall } from './layers/custom.ts';
export type { CustomFunction } from './layers/custom.ts';
export type { CustomOptions } from './layers/custom.ts';
export { initializers } from './layers/initializers.ts';
export { regularizers } from './layers/regularizers.ts';
export { constraints } from './layers/constraints.ts';
export { checkGradients } from './train/check-gradients.ts';
export type { CheckedGradient } from './train/check-gradients.ts';
export type { CheckGradientsOptions } from './train/check-gradients.ts';
export type { Constraint } from './layers/constraints.ts';
export type { Regularizer } from './layers/regularizers.ts';
export type { Activation } from './layers/activations.ts';
export type { ActivationLike } from './layers/activations.ts';
export type { Cell } from './layers/cell.ts';
export type { CellDefinition } from './layers/cell.ts';
export type { CellStep } from './layers/cell.ts';
export type { InTime } from './layers/in-time.ts';
export type { InTimeCall } from './layers/in-time.ts';
export type { StepMemory } from './layers/in-time.ts';
export type { Initializer } from './layers/initializers.ts';
export type { Layer } from './layers/layer.ts';
export type { LayerCall } from './layers/layer.ts';
export type { LayerDefinition } from './layers/layer.ts';
export type { LayerResult } from './layers/layer.ts';
export type { OpenShape } from './layers/layer.ts';
export type { WeightSpec } from './layers/weight.ts';

// Training
export { losses } from './layers/losses/all.ts';
export { metrics } from './layers/metrics/all.ts';
export { defineMetric } from './layers/metrics/own-metric.ts';
export { runningMetric } from './train/running-metric.ts';
export { optimizers } from './train/optimizers/all.ts';
export { schedules } from './train/schedules/all.ts';
export { defineSchedule } from './train/schedules/schedule.ts';
export { registerSchedule } from './train/schedules/schedule.ts';
export { findLearningRate } from './train/find-learning-rate.ts';
export { callbacks } from './train/callbacks/all.ts';
export { summaryWriter } from './formats/summary-writer.ts';
export { History } from './train/history.ts';
export type { Truncation } from './train/truncation.ts';
export { TrainingInterrupted } from './train/interrupted.ts';
export { TrainingFailed } from './train/failed.ts';
export { TrainingSteps } from './train/own-loop.ts';
export type { Loss } from './layers/losses/loss.ts';
export type { Reduction } from './layers/losses/loss.ts';
export type { Metric } from './layers/metrics/metric.ts';
export type { MetricDefinition } from './layers/metrics/own-metric.ts';
export type { MetricFunction } from './layers/metrics/all.ts';
export type { MetricLike } from './layers/metrics/all.ts';
export type { MetricSettings } from './train/compilation.ts';
export type { RunningMetric } from './train/running-metric.ts';
export type { RunningMetricOptions } from './train/running-metric.ts';
export type { Optimizer } from './train/optimizers/optimizer.ts';
export type { LearningRateSchedule } from './train/schedules/schedule.ts';
export type { LearningRateLike } from './train/schedules/schedule.ts';
export type { FindLearningRateOptions } from './train/find-learning-rate.ts';
export type { FoundLearningRates } from './train/find-learning-rate.ts';
export type { Callback } from './train/callbacks/callback.ts';
export type { EpochLogs } from './train/callbacks/callback.ts';
export type { Logs } from './train/callbacks/callback.ts';
export type { TrainedModel } from './train/callbacks/callback.ts';
export type { TrainingRun } from './train/callbacks/callback.ts';
export type { EarlyStopping } from './train/callbacks/early-stopping.ts';
export type { EarlyStoppingOptions } from './train/callbacks/early-stopping.ts';
export type { ModelCheckpoint } from './train/callbacks/model-checkpoint.ts';
export type { ModelCheckpointOptions } from './train/callbacks/model-checkpoint.ts';
export type { ReduceLrOnPlateau } from './train/callbacks/reduce-lr-on-plateau.ts';
export type { ReduceLrOnPlateauOptions } from './train/callbacks/reduce-lr-on-plateau.ts';
export type { LearningRateFunction } from './train/callbacks/learning-rate-scheduler.ts';
export type { LearningRateSchedulerOptions } from './train/callbacks/learning-rate-scheduler.ts';
export type { BackupAndRestoreOptions } from './train/callbacks/backup-and-restore.ts';
export type { CsvLoggerOptions } from './train/callbacks/csv-logger.ts';
export type { JsonLinesLoggerOptions } from './train/callbacks/json-lines-logger.ts';
export type { SwapEmaWeightsOptions } from './train/callbacks/swap-ema-weights.ts';
export type { TensorBoardOptions } from './train/callbacks/tensor-board.ts';
export type { TerminateOnNanOptions } from './train/callbacks/terminate-on-nan.ts';
export type { ProgressBarOptions } from './train/callbacks/progress-bar.ts';
export type { SummaryWriter } from './formats/summary-writer.ts';
export type { CompileSettings } from './train/compilation.ts';
export type { ClassWeight } from './train/data.ts';
export type { ModelData } from './train/data.ts';
export type { FitOptions } from './train/fit.ts';
export type { ValidationData } from './train/fit.ts';
export type { Verbosity } from './train/fit.ts';
export type { BatchData } from './train/given.ts';
export type { BatchFields } from './train/given.ts';
export type { BatchStream } from './train/given.ts';
export type { NamedData } from './train/data.ts';
export type { OutputData } from './train/data.ts';
export type { TrainingStep } from './train/loop.ts';

// Sequences out of predictions
export { ctcDecode } from './generate/ctc-decode.ts';
export type { CtcDecodeOptions } from './generate/ctc-decode.ts';
export type { CtcPath } from './generate/ctc-decode.ts';
export type { LabelModel } from './generate/ctc-decode.ts';

// Arrays, random numbers, operations, text
export { NdArray } from './core/array.ts';
export { RandomKey } from './core/random.ts';
export { ops } from './layers/symbolic-ops.ts';
export * as text from './text/all.ts';
export * as series from './series/all.ts';
export type { Shape } from './core/shape.ts';
export type { Tensor } from './ops/tensor.ts';
export type { TensorLike } from './ops/tensor.ts';

// Data and pictures
export { dataset } from './data/all.ts';
export { Dataset } from './data/dataset.ts';
export type { BatchOptions } from './data/batching.ts';
export type { BucketOptions } from './data/buckets.ts';
export type { PaddedBatchOptions } from './data/batching.ts';
export type { TimeseriesOptions } from './data/timeseries.ts';
export type { WindowOptions } from './data/dataset.ts';
export { parseLabelledTexts } from './data/labelled-texts.ts';
export { readLabelledTexts } from './data/labelled-texts.ts';
export { stratifiedSplit } from './data/split.ts';
export { plotModel } from './inspect/plot-model.ts';
export type { PlotModelOptions } from './inspect/plot-model.ts';
export type { ModelStructure } from './train/structure.ts';
export { plotHistory } from './inspect/plot-history.ts';
export { plotLearningRates } from './inspect/plot-learning-rates.ts';
export type { PlotLearningRatesOptions } from './inspect/plot-learning-rates.ts';
export type { LabelledTextOptions } from './data/labelled-texts.ts';
export type { LabelledTexts } from './data/labelled-texts.ts';
export type { Split } from './data/split.ts';
export type { Curves } from './inspect/plot-history.ts';
export type { PlotHistoryOptions } from './inspect/plot-history.ts';

// Programs of the machine, for measuring it
export { encodeProgram } from './ir/program.ts';
export { ProgramBuilder } from './ir/program.ts';
export { Segment } from './ir/kernels.ts';

// Hosts and errors
export { openMachine } from './vm/open.ts';
export { getThreads } from './vm/threads.ts';
export { setThreads } from './vm/threads.ts';
export { UnrolledError } from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export type { Machine } from './vm/vm.ts';
export type { MachineOptions } from './vm/open.ts';
export type { ThreadOptions } from './vm/threads.ts';

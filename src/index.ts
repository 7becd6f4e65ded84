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
export type { Sequential } from './train/sequential.ts';
export type { ModelOptions } from './train/model-options.ts';
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
export type { Initializer } from './layers/initializers.ts';
export type { Layer } from './layers/layer.ts';
export type { LayerCall } from './layers/layer.ts';
export type { LayerDefinition } from './layers/layer.ts';
export type { LayerResult } from './layers/layer.ts';
export type { OpenShape } from './layers/layer.ts';
export type { WeightSpec } from './layers/weight.ts';

// Training
export { losses } from './layers/losses.ts';
export { metrics } from './layers/metrics.ts';
export { optimizers } from './train/optimizers/all.ts';
export { History } from './train/history.ts';
export { TrainingInterrupted } from './train/interrupted.ts';
export type { Loss } from './layers/losses.ts';
export type { Metric } from './layers/metrics.ts';
export type { Optimizer } from './train/optimizers/optimizer.ts';
export type { Callback } from './train/callbacks.ts';
export type { Logs } from './train/callbacks.ts';
export type { TrainingRun } from './train/callbacks.ts';
export type { CompileSettings } from './train/compilation.ts';
export type { ClassWeight } from './train/data.ts';
export type { ModelData } from './train/data.ts';
export type { FitOptions } from './train/fit.ts';

// Arrays, random numbers, operations, text
export { NdArray } from './core/array.ts';
export { RandomKey } from './core/random.ts';
export { ops } from './layers/symbolic-ops.ts';
export * as text from './text/all.ts';
export type { Shape } from './core/shape.ts';
export type { Tensor } from './ops/tensor.ts';
export type { TensorLike } from './ops/tensor.ts';

// Data and pictures
export { parseLabelledTexts } from './data/labelled-texts.ts';
export { readLabelledTexts } from './data/labelled-texts.ts';
export { stratifiedSplit } from './data/split.ts';
export { plotModel } from './inspect/plot-model.ts';
export type { PlotModelOptions } from './inspect/plot-model.ts';
export type { ModelStructure } from './train/structure.ts';
export { plotHistory } from './inspect/plot-history.ts';
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

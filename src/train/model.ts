/**
 * A model: layers placed in a network, their weights, and what can be done with them. `sequential` and the readers of files make models;
 * the work itself is in the files beside this one.
 */
import type { NdArray } from '../core/array.ts';
import { fail, UnrolledError } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import type { ApplyOptions, SymbolicInput, SymbolicTensor } from '../layers/symbolic.ts';
import { chooseBatchSize } from './batches.ts';
import { type Bundled, type BundleSettings, bundleBytes, compileToKeras, writeBundle } from './bundling.ts';
import type { TrainedModel } from './callbacks.ts';
import {
  type Compilation,
  type CompileSettings,
  compileSettings,
  type OutputShape,
  objectiveOf,
} from './compilation.ts';
import {
  arrayOf,
  type Column,
  type Dataset,
  inputArrays,
  inputColumns,
  listOf,
  type ModelData,
  splitDataset,
  targetColumn,
  weightColumn,
} from './data.ts';
import { type DerivativeRun, type Gradients, runLossAndGradients, runVjp } from './derivatives.ts';
import { explainMasks } from './explain-mask.ts';
import { checkFitOptions, type FitOptions, type FitSets, runFit, type Verbosity } from './fit.ts';
import type { History } from './history.ts';
import { refuseLargeWeights, takingMemory } from './memory.ts';
import {
  type Architecture,
  type DerivativeOptions,
  type EvaluateOptions,
  type ModelOptions,
  type PredictOptions,
  refuseUnknown,
  type WeightOptions,
} from './model-options.ts';
import { nestModel } from './nested.ts';
import type { Network } from './network.ts';
import { runPredict } from './predict.ts';
import { ProgressBar, processWriter } from './progress.ts';
import { Session, type Values } from './session.ts';
import { readStates, resetStates, statesToSave, writeStates } from './states.ts';
import { haltedLeaf } from './steps.ts';
import { type ModelStructure, structureOf } from './structure.ts';
import { formatSummary, type SummaryOptions, summaryTable } from './summary.ts';
import { modelToKeras } from './to-keras.ts';
import { type Counters, Trainer } from './trainer.ts';
import { clearSlots, collectValues, readWeights, restoreValues, slotCount, writeWeights } from './values.ts';

/** @template Output of `predict`: one array, or a list for models of several outputs */
export class Model<Output extends NdArray | NdArray[] = NdArray> implements TrainedModel {
  readonly name: string;
  readonly seed: number;
  private readonly architecture: Architecture;
  private readonly session: Session;
  private readonly counters: Counters = { iteration: 0, learningRate: 0 };
  private readonly memoryLimit: number | undefined;
  private network: Network | null = null;
  private layer: Layer | null = null;
  private compilation: Compilation | null = null;
  private trainer: { readonly key: string; readonly trainer: Trainer } | null = null;

  /** Use `sequential`. */
  constructor(architecture: Architecture, options: ModelOptions = {}) {
    refuseUnknown(options, ['name', 'seed', 'memoryLimit', 'machine'], 'model');
    this.name = options.name ?? 'sequential';
    this.seed = options.seed ?? 0;
    RandomKey.from(this.seed);
    this.architecture = architecture;
    this.memoryLimit = options.memoryLimit;
    this.session = new Session(options.machine ?? null, options.memoryLimit);
    const network = architecture.arrange(null);
    if (network) this.place(network);
  }

  // ---- building

  private place(network: Network): void {
    refuseLargeWeights(network, this.memoryLimit);
    const key = RandomKey.from(this.seed).split('weights');
    takingMemory(network, () => {
      for (const { path, spec } of network.weights)
        this.session.declare(path, spec.shape, spec.groups, spec.initializer.values(spec.shape, key.split(path)));
    });
    this.network = network;
  }

  /** Makes the weights for inputs of a shape, batch in front, null for open sizes. Not needed where the model has an input layer or data. */
  build(inputShape: OpenShape): void {
    if (this.network) return;
    this.place(this.architecture.arrange(inputShape) as Network);
  }

  /** Whether the model has its weights. */
  get built(): boolean {
    return this.network !== null;
  }

  private builtNetwork(where: string): Network {
    return (
      this.network ??
      fail(
        'STATE',
        where,
        'a model whose input shape is known',
        'a model that has not seen data',
        'Start it with `layers.input({ shape })`, or call `build`.',
      )
    );
  }

  /** Builds from the shape of data: the batch and the axes of time stay open. */
  private buildFor(shape: Shape): Network {
    if (this.network) return this.network;
    const [first] = this.architecture.layers;
    const open: OpenShape =
      first.layer.definition.inputType === 'i32'
        ? shape.map(() => null)
        : shape.map((d, i) => (i === shape.length - 1 && i > 0 ? d : null));
    try {
      this.build(open);
    } catch (error) {
      // Some layers need every size: then the model is made for exactly this one.
      if (!(error instanceof UnrolledError) || error.code !== 'SHAPE') throw error;
      this.build([null, ...shape.slice(1)]);
    }
    return this.builtNetwork('build');
  }

  // ---- as a part of other models

  /** The model as a layer of other models; there its weights start as they are now, and are theirs from then on. */
  asLayer(): Layer {
    this.layer ??= nestModel(
      {
        name: this.name,
        architecture: this.architecture,
        values: (path) => (this.session.has(path) ? this.session.get(path) : null),
      },
      this.name === 'functional' || this.name === 'sequential' ? null : this.name,
    );
    return this.layer;
  }

  /**
   * Applies the model to symbolic tensors, as a layer of another model. All calls share one set of weights, which starts as this model's are
   * when the other one is made. Throws SHAPE where the inputs do not fit.
   *
   * @example const y = encoder.apply(x);
   */
  apply<Tensors extends SymbolicTensor | SymbolicTensor[] = SymbolicTensor>(
    inputs: SymbolicInput,
    options?: ApplyOptions,
  ): Tensors {
    return this.asLayer().apply<Tensors>(inputs, options);
  }

  // ---- what there is

  /** The layers with their names, the input layer included. */
  get layers(): readonly {
    readonly name: string;
    readonly className: string;
    readonly config: Readonly<Record<string, unknown>>;
  }[] {
    return (this.network?.layers ?? this.architecture.layers).map(({ layer, name }) => ({
      name,
      className: layer.className,
      config: layer.config,
    }));
  }

  /** The weights in the order of `getWeights`, by path. */
  get weights(): readonly { readonly path: string; readonly shape: Shape; readonly trainable: boolean }[] {
    return (this.network?.weights ?? []).map(({ path, spec, trainable }) => ({ path, shape: spec.shape, trainable }));
  }

  /** A layer by its name. Throws ARGUMENT, with the names that there are, for another one. */
  getLayer(name: string): Model['layers'][number] {
    const found = this.layers.find((layer) => layer.name === name);
    return (
      found ?? fail('ARGUMENT', 'getLayer', `one of ${this.layers.map((layer) => layer.name).join(', ')}`, `'${name}'`)
    );
  }

  private placeOf(path: string, where: string): number {
    const { weights } = this.builtNetwork(where);
    const at = weights.findIndex((weight) => weight.path === path);
    if (at < 0) fail('ARGUMENT', where, `one of ${weights.map((weight) => weight.path).join(', ')}`, `'${path}'`);
    return at;
  }

  /** One weight by its path, such as `encoder/lstm/kernel`. Throws ARGUMENT, with the paths that there are, for another one. */
  getWeight(path: string): NdArray {
    return this.getWeights()[this.placeOf(path, 'getWeight')];
  }

  /** Replaces one weight. Throws SHAPE where the values do not fit. */
  setWeight(path: string, values: NdArray | Parameters<typeof NdArray.from>[0]): void {
    const at = this.placeOf(path, 'setWeight');
    this.setWeights(this.getWeights().map((own, i) => (i === at ? values : own)));
  }

  /** The calls of the layers and what flows between them, for pictures. */
  structure(): ModelStructure {
    return structureOf(this.name, this.builtNetwork('structure'));
  }

  /** Shapes of the outputs, batch in front; null for open sizes. */
  get outputShapes(): readonly OpenShape[] {
    const network = this.builtNetwork('outputShapes');
    return network.outputs.map((r) => network.calls[r.call].shapes[r.output]);
  }

  /** Number of weights. */
  countParams(): number {
    return this.builtNetwork('countParams').weights.reduce((n, { spec }) => n + sizeOf(spec.shape), 0);
  }

  /** All weights, in Keras's order and layout. */
  getWeights(): NdArray[] {
    return readWeights(this.session, this.builtNetwork('getWeights'));
  }

  /** Replaces all weights. Throws SHAPE, naming the weight, and changes nothing, where one does not fit. */
  setWeights(weights: readonly (NdArray | Parameters<typeof NdArray.from>[0])[]): void {
    writeWeights(this.session, this.builtNetwork('setWeights'), weights);
  }

  /** The table of layers, shapes and parameter counts; printed, and returned. */
  summary(options: SummaryOptions = {}): string {
    refuseUnknown(options, ['style', 'lineLength', 'showTrainable', 'expandNested', 'print'], 'summary');
    const slots = slotCount(this.session, haltedLeaf);
    // Keras counts the iteration and the learning rate among the optimizer's values.
    const optimizer = slots === null ? null : slots + 2;
    const text = formatSummary(
      summaryTable(this.name, this.architecture, this.network, optimizer, options.expandNested),
      options,
    );
    if (options.print !== null) (options.print ?? console.log)(text);
    return text;
  }

  // ---- training

  /** Sets optimizer, loss and metrics; the optimizer starts anew. Throws ARGUMENT for unknown names, with those that exist. */
  compile(settings: CompileSettings): void {
    const compilation = compileSettings(settings, this.network?.outputs.length ?? 1);
    this.session.requireRest('compile');
    this.compilation = compilation;
    this.counters.iteration = 0;
    this.counters.learningRate = compilation.optimizer.config.learningRate;
    this.session.forget('train ');
    this.session.forget('evaluate ');
    this.session.forget('lossAndGradients ');
    clearSlots(this.session);
    this.trainer = null;
  }

  private compiled(where: string): Compilation {
    return (
      this.compilation ??
      fail(
        'STATE',
        where,
        'a compiled model',
        'one that is not',
        "Call `model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' })` first.",
      )
    );
  }

  /** The optimizer's learning rate; changes hold from the next steps on. */
  get learningRate(): number {
    this.compiled('learningRate');
    return this.counters.learningRate;
  }

  set learningRate(value: number) {
    this.compiled('learningRate');
    if (!(value >= 0) || !Number.isFinite(value)) fail('ARGUMENT', 'learningRate', 'a number from 0 on', String(value));
    this.counters.learningRate = value;
  }

  /** Steps of the optimizer so far. */
  get iterations(): number {
    return this.counters.iteration;
  }

  /** Checked data with targets and weights, and the trainer for it. */
  private objectiveData(
    x: unknown,
    y: unknown,
    { sampleWeight, classWeight, mask }: WeightOptions,
    where: string,
  ): { set: Dataset; trainer: Trainer } {
    const compilation = this.compiled(where);
    const arrays = inputArrays(x, this.network?.inputs.length ?? 1, where);
    const network = this.buildFor(arrays[0].shape);
    const inputs = inputColumns(network, arrays, mask, where);
    const count = network.outputs.length;
    const named = (what: string, i: number) => (count === 1 ? `${where}: ${what}` : `${where}: ${what}[${i}]`);
    const targets = listOf(y, count, `${where}: y`, 'output').map((value, i) => {
      if (count > 1 && (value === null || value === undefined)) return null;
      const target = arrayOf(value, named('y', i));
      if (target.rank === 0) fail('SHAPE', named('y', i), 'targets along the first axis', 'a single number');
      return target;
    });
    const trainer = this.trainerFor(compilation, network, targets, where);
    const { outputs } = trainer.objective;
    if (classWeight && outputs.length > 1)
      fail(
        'UNSUPPORTED',
        `${where}: classWeight`,
        'a model of one output',
        `${outputs.length} outputs`,
        'Use sampleWeight.',
      );
    const ownWeight = (i: number) =>
      count > 1 && isListPerOutput(sampleWeight, count) ? sampleWeight[i] : sampleWeight;
    const columns = targets.map((): Column | null => null);
    const weights = targets.map((): Column | null => null);
    for (const objective of outputs) {
      const i = objective.output;
      const { shape } = this.outputShapesByName()[i];
      const classes = shape[shape.length - 1] ?? 1;
      const column = targetColumn(targets[i] as NdArray, objective, classes, inputs.count, named('y', i));
      columns[i] = column;
      weights[i] = weightColumn(ownWeight(i), classWeight, objective, column, inputs.count, where);
    }
    return { set: { ...inputs, targets: columns, weights }, trainer };
  }

  /** The outputs with their names: those of the layers that they come from. */
  private outputShapesByName(): OutputShape[] {
    const network = this.builtNetwork('outputs');
    const names = network.outputs.map((r) => network.layers[network.calls[r.call].layer].name);
    return network.outputs.map((r, i) => {
      const before = names.slice(0, i).filter((name) => name === names[i]).length;
      return { name: before ? `${names[i]}_${before}` : names[i], shape: network.calls[r.call].shapes[r.output] };
    });
  }

  private trainerFor(
    compilation: Compilation,
    network: Network,
    targets: readonly (NdArray | null)[],
    where: string,
  ): Trainer {
    const shapes = targets.map((target) => target?.shape.slice(1) ?? null);
    const key = shapes.map((shape) => shape?.join('x') ?? '-').join(';');
    if (this.trainer?.key !== key) {
      const objective = objectiveOf(compilation, shapes, this.outputShapesByName(), `${where}: y`);
      const trainer = new Trainer(
        this.session,
        network,
        compilation.optimizer,
        objective,
        this.counters,
        RandomKey.from(this.seed).split('training'),
      );
      this.trainer = { key, trainer };
    }
    return this.trainer.trainer;
  }

  /**
   * Trains. Data is checked before anything changes.
   *
   * Errors: STATE before `compile`; DATA and SHAPE for data that does not fit; NUMERIC where the loss or a gradient stops being finite (the
   * weights stay at the last good step); INTERRUPTED by the signal; MEMORY for a plan that does not fit.
   *
   * @returns the history: loss, metrics and their `val_` counterparts per epoch
   * @example const { history } = await model.fit(x, y, { epochs: 10, batchSize: 128, validationSplit: 0.2 });
   */
  async fit(x: ModelData, y: ModelData, options: FitOptions = {}): Promise<History> {
    checkFitOptions(options);
    const { set, trainer } = this.objectiveData(x, y, options, 'fit');
    const sets = this.fitSets(set, options);
    const batchSize = chooseBatchSize(options.batchSize, this.builtNetwork('fit'), sets.training.count, 'fit');
    return runFit(this, trainer, sets, options, batchSize);
  }

  private fitSets(set: Dataset, { validationData, validationSplit }: FitOptions): FitSets {
    if (validationData) {
      const [x, y, sampleWeight] = validationData;
      return { training: set, validation: this.objectiveData(x, y, { sampleWeight }, 'fit: validationData').set };
    }
    if (!validationSplit) return { training: set, validation: null };
    const [training, validation] = splitDataset(set, validationSplit, 'fit');
    return { training, validation };
  }

  /** Loss and metrics over data: `{ loss, accuracy }`. */
  async evaluate(x: ModelData, y: ModelData, options: EvaluateOptions = {}): Promise<Record<string, number>> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask', 'batchSize', 'verbose'], 'evaluate');
    const { set, trainer } = this.objectiveData(x, y, options, 'evaluate');
    const batchSize = chooseBatchSize(options.batchSize, this.builtNetwork('evaluate'), set.count, 'evaluate');
    const bar = progressBar(options.verbose, Math.ceil(set.count / batchSize));
    return trainer.evaluate(set, batchSize, (done, logs) => bar?.update(done, logs));
  }

  /** One step of training on one batch: `{ loss, ...metrics }` of this batch before the step. */
  async trainOnBatch(x: ModelData, y: ModelData, options: WeightOptions = {}): Promise<Record<string, number>> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask'], 'trainOnBatch');
    const { set } = this.objectiveData(x, y, options, 'trainOnBatch');
    const history = await runFit(
      this,
      (this.trainer as { trainer: Trainer }).trainer,
      { training: set, validation: null },
      { verbose: 0, shuffle: false },
      set.count,
    );
    return Object.fromEntries(Object.entries(history.history).map(([name, values]) => [name, values[0]]));
  }

  // ---- running

  private inputData(x: unknown, mask: unknown, where: string): { set: Dataset; network: Network } {
    const arrays = inputArrays(x, this.network?.inputs.length ?? 1, where);
    const network = this.buildFor(arrays[0].shape);
    return { set: inputColumns(network, arrays, mask, where), network };
  }

  /** The outputs for inputs: one array, or a list in the order of the model's outputs. */
  async predict(x: ModelData, options: PredictOptions = {}): Promise<Output> {
    refuseUnknown(options, ['batchSize', 'mask', 'verbose'], 'predict');
    const { set, network } = this.inputData(x, options.mask, 'predict');
    const batchSize = chooseBatchSize(options.batchSize, network, set.count, 'predict');
    const bar = progressBar(options.verbose, Math.ceil(set.count / batchSize));
    return oneOrList(
      await runPredict(this.session, network, set, batchSize, (done) => bar?.update(done, {})),
    ) as Output;
  }

  /** What a derivative runs on; with `training`, dropout draws as in the next step. */
  private derivativeRun(network: Network, set: Dataset, training: boolean): DerivativeRun {
    const key = training
      ? RandomKey.from(this.seed).split('training').split('step').split(this.counters.iteration).toInt32()
      : null;
    return { session: this.session, network, set, key };
  }

  /**
   * Outputs, and gradients of sum(outputs * outputGradients) for weights (in the order of `getWeights`) and inputs (null for indices). All
   * samples are one batch.
   *
   * @param outputGradients one array, or a list in the order of the outputs; null: zero
   */
  async vjp(
    x: ModelData,
    outputGradients: ModelData | readonly (ModelData | null)[],
    options: DerivativeOptions = {},
  ): Promise<Gradients & { outputs: Output }> {
    refuseUnknown(options, ['training', 'mask'], 'vjp');
    const { set, network } = this.inputData(x, options.mask, 'vjp');
    const { outputs, ...gradients } = await runVjp(
      this.derivativeRun(network, set, options.training ?? false),
      outputGradients,
    );
    return { outputs: oneOrList(outputs) as Output, ...gradients };
  }

  /** The loss of one batch, and its gradients for weights (in the order of `getWeights`) and inputs (null for indices). */
  async lossAndGradients(
    x: ModelData,
    y: ModelData,
    options: WeightOptions & DerivativeOptions = {},
  ): Promise<Gradients & { loss: number }> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask', 'training'], 'lossAndGradients');
    const { set, trainer } = this.objectiveData(x, y, options, 'lossAndGradients');
    const run = this.derivativeRun(this.builtNetwork('lossAndGradients'), set, options.training ?? false);
    return runLossAndGradients(run, trainer);
  }

  /** What the compiler made of the steps that have run: graph, program, memory map and operation counts, as text. */
  explain(): string {
    const steps = [...this.session.compiled()];
    if (!steps.length)
      fail(
        'STATE',
        'explain',
        'a model that has run',
        'one whose steps are not compiled',
        'Call predict or fit first.',
      );
    return steps.map(([key, step]) => `== ${key}\n${step.explain()}`).join('\n\n');
  }

  // ---- states

  /** What stateful layers keep for the next batch, by path, (rows, ...) each; empty before the first batch and after a reset. */
  getStates(): Record<string, NdArray> {
    return readStates(this.session, this.builtNetwork('getStates'));
  }

  /** Sets states of stateful layers, by path: what the next batch starts with. Throws, and changes nothing, where one does not fit. */
  setStates(states: Readonly<Record<string, NdArray | Parameters<typeof NdArray.from>[0]>>): void {
    writeStates(this.session, this.builtNetwork('setStates'), states);
  }

  /**
   * Sets the states of stateful layers to zero. Without options all of them, after which batches of another size are taken.
   *
   * @param options.rows rows of the batch whose sequences start anew; default all
   * @param options.layer name of the layer; default all
   * @example model.resetStates({ rows: [0, 3] });
   */
  resetStates(options: { readonly rows?: readonly number[]; readonly layer?: string } = {}): void {
    refuseUnknown(options, ['rows', 'layer'], 'resetStates');
    if (this.network) resetStates(this.session, this.network, options);
  }

  /** The text of `explainMask(model)`. */
  explainMask(options: { readonly inputMask?: boolean } = {}): string {
    refuseUnknown(options, ['inputMask'], 'explainMask');
    return explainMasks(this.name, this.builtNetwork('explainMask'), options);
  }

  // ---- saving

  /** Keras 3's configuration object: `modelFromKerasConfig`, and Keras itself, read it. */
  toKerasConfig(): Record<string, unknown> {
    const compile = this.compilation && compileToKeras(this.compilation, this.counters.learningRate);
    return modelToKeras(this.name, this.architecture, this.network, compile);
  }

  /** What a bundle holds. */
  private bundled(): Bundled {
    const network = this.builtNetwork('save');
    return {
      config: this.toKerasConfig(),
      ...collectValues(this.session, network, this.compilation !== null),
      states: statesToSave(this.session, network),
      counters: this.compilation && { ...this.counters },
      seed: this.seed,
    };
  }

  /** Puts back what `bundled` gave, after `compile`. */
  restore(weights: ReadonlyMap<string, Values>, slots: ReadonlyMap<string, Values>, counters: Counters | null): void {
    restoreValues(this.session, this.builtNetwork('restore'), this.compilation?.optimizer.slots ?? [], weights, slots);
    if (counters) Object.assign(this.counters, counters);
  }

  /**
   * Writes the model as one file: configuration, weights, optimizer, and a tokenizer if given. Written beside the path and renamed, so that
   * an old file stays whole if anything fails. Throws IO where the disk refuses.
   */
  async save(path: string, settings: BundleSettings = {}): Promise<void> {
    await writeBundle(path, this.bundled(), settings);
  }

  /** The bytes of `save`, for browsers. */
  toBytes(settings: BundleSettings = {}): Uint8Array {
    return bundleBytes(this.bundled(), settings);
  }
}

/** Whether weights are a list with one entry, an array or null, for every output. */
function isListPerOutput(value: unknown, count: number): value is unknown[] {
  return (
    Array.isArray(value) && value.length === count && value.every((own) => own === null || typeof own === 'object')
  );
}

function oneOrList<T>(list: T[]): T | T[] {
  return list.length === 1 ? list[0] : list;
}

function progressBar(verbose: Verbosity | undefined, target: number): ProgressBar | null {
  const { write, dynamic, terminal } = processWriter();
  const level = verbose === 'auto' ? (terminal ? 1 : 2) : (verbose ?? 0);
  return level
    ? new ProgressBar({ target, verbose: level, dynamic, write, now: () => performance.now() / 1000 })
    : null;
}

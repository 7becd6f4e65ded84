/**
 * A model: layers placed in a network, their weights, and what can be done with them. `sequential` and the readers of files make models;
 * the work itself is in the files beside this one.
 */
import type { NdArray } from '../core/array.ts';
import { fail, UnrolledError } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import type { Room } from '../core/room.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import type { ApplyOptions, SymbolicInput, SymbolicTensor } from '../layers/symbolic.ts';
import { Assembly, type Owner } from './assembly.ts';
import { type Bundled, type BundleSettings, bundleBytes, compileToKeras, writeBundle } from './bundling.ts';
import type { Direction, TrainedModel } from './callbacks/callback.ts';
import { type Compilation, type CompileSettings, compileSettings } from './compilation.ts';
import type { ModelData, NamedData, OutputData, Samples } from './data.ts';
import { type DerivativeRun, type Gradients, runLossAndGradients, runVjp } from './derivatives.ts';
import { metricDirections } from './directions.ts';
import { runEvaluate } from './evaluate.ts';
import { explainMasks } from './explain-mask.ts';
import {
  checkSweep,
  type FindLearningRateOptions,
  type FoundLearningRates,
  sweepLearningRates,
} from './find-learning-rate.ts';
import type { FitOptions } from './fit.ts';
import type { BatchStream } from './given.ts';
import type { History } from './history.ts';
import { type Inspection, type InspectOptions, inspectOptions, runInspect } from './inspect.ts';
import { firstLearningRate, learningRateAt, setLearningRate } from './learning-rate.ts';
import { runFit } from './loop.ts';
import { refuseLargeWeights, takingMemory } from './memory.ts';
import {
  type Architecture,
  type DerivativeOptions,
  type EvaluateOptions,
  type ModelOptions,
  type PredictOptions,
  type RunDefaults,
  refuseUnknown,
  runDefaults,
  type WeightOptions,
} from './model-options.ts';
import { nestModel } from './nested.ts';
import type { Network } from './network.ts';
import { runPredictOnBatch, runTestOnBatch, runTrainOnBatch } from './on-batch.ts';
import { overPass, type PassWork } from './over-pass.ts';
import { TrainingSteps } from './own-loop.ts';
import { runPredict } from './predict.ts';
import { givenPlaces } from './predictions.ts';
import { requireBuilt, requireCompiled } from './required.ts';
import { Session, type Values } from './session.ts';
import { shareNested, shareWeights } from './shared-weights.ts';
import { readStates, resetStates, statesToSave, writeStates } from './states.ts';
import { haltedLeaf } from './steps.ts';
import { makeStepper, type Stepper, type StreamOptions } from './stream.ts';
import { type ModelStructure, structureOf } from './structure.ts';
import { formatSummary, type SummaryOptions, summaryTable } from './summary.ts';
import { modelToKeras } from './to-keras.ts';
import type { Counters } from './trainer.ts';
import { argumentsOf, Sources } from './training.ts';
import {
  clearSlots,
  collectValues,
  readAverages,
  readWeights,
  restoreValues,
  slotCount,
  withAverages,
  writeWeights,
} from './values.ts';
import { readWeightsFile, writeWeightsFile } from './weights-file.ts';

/** @template Output of `predict`: one array, or a list for models of several outputs */
export class Model<Output extends NdArray | NdArray[] = NdArray> implements TrainedModel {
  readonly name: string;
  readonly seed: number;
  private readonly architecture: Architecture;
  private readonly session: Session;
  private readonly counters: Counters = { iteration: 0, learningRate: 0 };
  private readonly memoryLimit: number | undefined;
  private readonly defaults: RunDefaults;
  private network: Network | null = null;
  private layer: Layer | null = null;
  private compilation: Compilation | null = null;
  private readonly assembly: Assembly;
  private readonly sources: Sources;

  /** Use `sequential`. */
  constructor(architecture: Architecture, options: ModelOptions = {}) {
    refuseUnknown(options, ['name', 'seed', 'memoryLimit', 'memory', 'precision', 'machine'], 'model');
    this.name = options.name ?? 'sequential';
    this.seed = options.seed ?? 0;
    RandomKey.from(this.seed);
    this.architecture = architecture;
    this.memoryLimit = options.memoryLimit;
    this.session = new Session(options.machine ?? null, options.memoryLimit);
    this.defaults = runDefaults(options);
    Object.assign(this.session, this.defaults);
    const owner: Owner = {
      session: this.session,
      counters: this.counters,
      seed: this.seed,
      network: () => this.network,
      buildFor: (shape) => this.buildFor(shape),
      compiled: (where) => this.compiled(where),
    };
    this.assembly = new Assembly(owner);
    this.sources = new Sources(this.assembly, owner);
    const network = architecture.arrange(null);
    if (network) this.place(network);
  }

  // ---- building

  private place(network: Network): void {
    refuseLargeWeights(network, this.memoryLimit);
    const key = RandomKey.from(this.seed).split('weights');
    for (const { path, spec } of network.weights) {
      const { shape, groups, initializer } = spec;
      const draw = (room?: Room) => takingMemory(network, () => initializer.values(shape, key.split(path), room));
      initializer.check?.(shape);
      this.session.declare(path, shape, groups, initializer.check ? draw : draw());
    }
    if (this.architecture.className === 'Functional') shareWeights(this.session, network);
    if (this.layer) shareNested(this.session, this.layer, network);
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
    return requireBuilt(this.network, where);
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

  /** The model as a layer of other models. They have its weights: what one of them learns, all have learnt. */
  asLayer(): Layer {
    if (this.layer) return this.layer;
    this.layer = nestModel(
      {
        name: this.name,
        architecture: this.architecture,
        values: (path) => (this.session.has(path) ? this.session.get(path) : null),
      },
      this.name === 'functional' || this.name === 'sequential' ? null : this.name,
    );
    if (this.network) shareNested(this.session, this.layer, this.network);
    return this.layer;
  }

  /**
   * Applies the model to symbolic tensors, as a layer of another model. All calls, and this model, share one set of weights. Throws SHAPE where
   * the inputs do not fit.
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
    writeWeights(this.session, this.builtNetwork('setWeights'), weights, this.compilation?.optimizer);
  }

  /** The table of layers, shapes and parameter counts; printed, and returned. */
  summary(options: SummaryOptions = {}): string {
    refuseUnknown(options, ['style', 'lineLength', 'showTrainable', 'expandNested', 'print'], 'summary');
    const optimizer =
      this.network && slotCount(this.session, this.network, this.compilation?.optimizer ?? null, haltedLeaf);
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
    this.session.requireUnclaimed('compile');
    this.session.requireRest('compile');
    this.compilation = compilation;
    this.session.timeMemory = compilation.memory ?? this.defaults.timeMemory;
    this.session.precision = compilation.precision ?? this.defaults.precision;
    this.counters.iteration = 0;
    this.counters.learningRate = firstLearningRate(compilation);
    for (const kind of ['train ', 'evaluate ', 'lossAndGradients ', 'inspect ']) this.session.forget(kind);
    clearSlots(this.session);
    this.assembly.forget();
  }

  private compiled(where: string): Compilation {
    return requireCompiled(this.compilation, where);
  }

  /**
   * The learning rate of the next step; changes hold from there on. With a schedule it follows from the iteration: setting it then throws STATE.
   */
  get learningRate(): number {
    return learningRateAt(this.compiled('learningRate'), this.counters);
  }

  set learningRate(value: number) {
    setLearningRate(this.compiled('learningRate'), this.counters, value);
  }

  /** Updates of the optimizer so far: batches, or with gradientAccumulationSteps that many batches. */
  get iterations(): number {
    return Math.floor(this.counters.iteration / (this.compilation?.optimizer.config.gradientAccumulationSteps ?? 1));
  }

  /** Which values of `loss` and of every metric of the last data, by their names in the logs, are better; null: not known. */
  metricDirections(): Readonly<Record<string, Direction | null>> {
    return metricDirections(this.assembly.latest?.objective ?? null);
  }

  /**
   * Trains, on arrays or on a stream of batches: a `Dataset`, an iterable of any kind, or a function that gives one for every epoch. Arrays are
   * checked before anything changes, the batches of a stream as they come.
   *
   * Errors: STATE before `compile` and for a model that is already being trained; DATA and SHAPE for data that does not fit; INTERRUPTED by the
   * signal (`TrainingInterrupted`); MEMORY for a plan that does not fit. Where something fails on the way, `TrainingFailed` has the history
   * and says what is kept: NUMERIC where the loss or a gradient stops being finite, the code of the cause for callbacks and data that throw.
   *
   * @returns the history: loss, metrics and their `val_` counterparts per epoch
   * @example const { history } = await model.fit(x, y, { epochs: 10, batchSize: 128, validationSplit: 0.2 });
   * @example await model.fit(dataset.fromArrays(ids, labels).shuffle().bucketByLength({ tokensPerBatch: 4096 }), { epochs: 3 });
   */
  fit(x: ModelData | NamedData, y: OutputData, options?: FitOptions): Promise<History>;
  fit(batches: BatchStream, options?: FitOptions): Promise<History>;
  async fit(x: unknown, y?: unknown, options?: FitOptions): Promise<History> {
    return runFit(this.sources.training(this, argumentsOf(x, y, options, 'fit'), false, 'fit'));
  }

  /**
   * Trains in a loop of one's own: what `fit` does, a step at a time. Data and options are those of `fit`.
   *
   * @example
   * for await (const step of model.train(x, y, { epochs: 10 })) {
   *   console.log(step.epoch, step.batch, step.loss, step.learningRate);
   *   if (step.logs.accuracy > 0.95) break;
   * }
   */
  train(x: ModelData | NamedData, y: OutputData, options?: FitOptions): TrainingSteps;
  train(batches: BatchStream, options?: FitOptions): TrainingSteps;
  train(x: unknown, y?: unknown, options?: FitOptions): TrainingSteps {
    return new TrainingSteps(this.sources.training(this, argumentsOf(x, y, options, 'train'), true, 'train'));
  }

  /** Loss and metrics over arrays or a stream of batches: `{ loss, accuracy }`. */
  evaluate(x: ModelData | NamedData, y: OutputData, options?: EvaluateOptions): Promise<Record<string, number>>;
  evaluate(batches: BatchStream, options?: EvaluateOptions): Promise<Record<string, number>>;
  async evaluate(x: unknown, y?: unknown, given?: EvaluateOptions): Promise<Record<string, number>> {
    const { options, ...data } = argumentsOf(x, y, given, 'evaluate');
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask', 'batchSize', 'steps', 'verbose'], 'evaluate');
    const source = this.sources.evaluation(data.x, data.y, options, 'evaluate');
    const work = (pass: PassWork) => runEvaluate({ ...pass, session: this.session });
    return (await overPass(source, options, 'evaluate', work)).logs;
  }

  /**
   * One step of training on one batch: `{ loss, ...metrics }` of this batch alone, before the step, as in Keras 3; nothing is carried on to the
   * next call but weights, optimizer, and the states of stateful layers.
   */
  async trainOnBatch(
    x: ModelData | NamedData,
    y: OutputData,
    options: WeightOptions = {},
  ): Promise<Record<string, number>> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask'], 'trainOnBatch');
    const { set, trainer } = this.assembly.objective(x, y, options, 'trainOnBatch');
    return runTrainOnBatch(this.session, trainer, set);
  }

  /** Loss and metrics of one batch, whatever its size. */
  async testOnBatch(
    x: ModelData | NamedData,
    y: OutputData,
    options: WeightOptions = {},
  ): Promise<Record<string, number>> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask'], 'testOnBatch');
    const { set, trainer } = this.assembly.objective(x, y, options, 'testOnBatch');
    return runTestOnBatch(this.session, trainer, set);
  }

  /** What the function `findLearningRate` does. */
  async findLearningRate(x: ModelData, y: ModelData, given: FindLearningRateOptions = {}): Promise<FoundLearningRates> {
    const { sampleWeight, classWeight, mask, ...options } = given;
    checkSweep(options);
    const data = this.assembly.objective(x, y, { sampleWeight, classWeight, mask }, 'findLearningRate');
    const { session, counters } = this;
    const network = this.builtNetwork('findLearningRate');
    return sweepLearningRates({ session, counters, network, ...data }, options);
  }

  /** The weights in the order of `getWeights`, with moving averages for those that train. Throws STATE where the optimizer keeps none. */
  averagedWeights(): NdArray[] {
    return readAverages(this.session, this.builtNetwork('averagedWeights'));
  }

  /**
   * Runs `work` while the moving averages are the model's weights, and puts the weights back. Throws STATE where the optimizer keeps none.
   *
   * @example const { loss } = await model.withAveragedWeights(() => model.evaluate(x, y));
   */
  withAveragedWeights<T>(work: () => T | Promise<T>): Promise<T> {
    return withAverages(this.session, this.builtNetwork('withAveragedWeights'), work);
  }

  // ---- running

  /**
   * The outputs for arrays or a stream of batches: one array, or a list in the order of the model's outputs.
   *
   * @example
   * const y = await model.predict(x);
   * await model.predict(next, { out: y }); // written over what was there
   */
  async predict(x: ModelData | NamedData | BatchStream, options: PredictOptions<Output> = {}): Promise<Output> {
    refuseUnknown(options, ['batchSize', 'mask', 'out', 'steps', 'verbose'], 'predict');
    const source = this.sources.prediction(x, options, 'predict');
    const network = () => this.builtNetwork('predict');
    const out = givenPlaces(options.out, 'predict');
    const work = (pass: PassWork) => runPredict({ ...pass, out, session: this.session, network });
    return oneOrList(await overPass(source, options, 'predict', work)) as Output;
  }

  /** The outputs for one batch, whatever its size. */
  async predictOnBatch(x: ModelData | NamedData, options: Pick<PredictOptions, 'mask'> = {}): Promise<Output> {
    refuseUnknown(options, ['mask'], 'predictOnBatch');
    const { set, network } = this.assembly.inputs(x, options.mask, 'predictOnBatch');
    return oneOrList(await runPredictOnBatch(this.session, network, set)) as Output;
  }

  /** What a derivative runs on; with `training`, dropout draws as in the next step. */
  private derivativeRun(network: Network, set: Samples, training = false): DerivativeRun {
    const key = () => RandomKey.from(this.seed).split('training').split('step').split(this.counters.iteration);
    return { session: this.session, network, set, key: training ? key().toInt32() : null };
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
    const { set, network } = this.assembly.inputs(x, options.mask, 'vjp');
    const { outputs, ...gradients } = await runVjp(this.derivativeRun(network, set, options.training), outputGradients);
    return { outputs: oneOrList(outputs) as Output, ...gradients };
  }

  /** The loss of one batch, and its gradients for weights (in the order of `getWeights`) and inputs (null for indices). */
  async lossAndGradients(
    x: ModelData,
    y: ModelData,
    options: WeightOptions & DerivativeOptions = {},
  ): Promise<Gradients & { loss: number }> {
    refuseUnknown(options, ['sampleWeight', 'classWeight', 'mask', 'training'], 'lossAndGradients');
    const { set, trainer } = this.assembly.objective(x, y, options, 'lossAndGradients');
    const run = this.derivativeRun(this.builtNetwork('lossAndGradients'), set, options.training);
    return runLossAndGradients(run, trainer);
  }

  /** What the function `inspect` does. */
  async inspect(x: ModelData | NamedData, options: InspectOptions = {}): Promise<Inspection> {
    const { set, network, trainer } = this.assembly.inspected(x, inspectOptions(options));
    return runInspect({ ...this.derivativeRun(network, set, options.training), trainer }, options.layers);
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

  /**
   * The model one time step at a time, with its weights as they are at each step: `step` gives what `predict` would for the sequences so far.
   * Rejects with UNSUPPORTED, naming the layer and the reason, for models that need whole sequences: bidirectional layers, goBackwards,
   * attention, convolution that sees later steps.
   *
   * @example
   * const stepper = await model.stream({ rows: 1 });
   * for (const x of readings) alarm(stepper.step(x).data[0]); // x: a Float32Array of the features
   */
  stream(options: StreamOptions = {}): Promise<Stepper<Output>> {
    return makeStepper<Output>(this.session, this.builtNetwork('stream'), options, this.memoryLimit);
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
      counters: this.compilation && {
        iteration: this.counters.iteration,
        learningRate: Math.max(0, this.learningRate),
      },
      seed: this.seed,
    };
  }

  /** Puts back what `bundled` gave, after `compile`. */
  restore(weights: ReadonlyMap<string, Values>, slots: ReadonlyMap<string, Values>, counters: Counters | null): void {
    restoreValues(this.session, this.builtNetwork('restore'), this.compilation?.optimizer ?? null, weights, slots);
    if (counters) Object.assign(this.counters, counters);
  }

  /**
   * Writes the model as one file: configuration, weights, optimizer, and a tokenizer if given. Written beside the path and renamed, so that
   * an old file stays whole if anything fails. Throws IO where the disk refuses.
   */
  async save(path: string, settings: BundleSettings = {}): Promise<void> {
    await writeBundle(path, this.bundled(), settings);
  }

  /** Writes the weights, and the optimizer's values, as `.safetensors`. Throws IO where the disk refuses. */
  async saveWeights(path: string): Promise<void> {
    await writeWeightsFile(path, this.bundled());
  }

  /** Reads what `saveWeights` wrote, the optimizer's values where this model is compiled. Throws IO and FORMAT. */
  async loadWeights(path: string): Promise<void> {
    const { weights, slots, counters } = await readWeightsFile(path);
    this.restore(weights, slots, this.compilation && counters);
  }

  /** The bytes of `save`, for browsers. */
  toBytes(settings: BundleSettings = {}): Uint8Array {
    return bundleBytes(this.bundled(), settings);
  }
}

function oneOrList<T>(list: T[]): T | T[] {
  return list.length === 1 ? list[0] : list;
}

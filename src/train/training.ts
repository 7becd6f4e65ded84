/** From what `fit`, `train`, `evaluate` and `predict` are given to the batches that they run on. */
import { fail } from '../core/errors.ts';
import { showValue } from '../layers/options.ts';
import type { Assembly, Owner } from './assembly.ts';
import { chooseBatchSize } from './batches.ts';
import type { TrainedModel } from './callbacks/callback.ts';
import { type Samples, splitSamples } from './data.ts';
import { checkFitOptions, type FitOptions } from './fit.ts';
import { type BatchStream, countOf, fieldsOf, isEndless, isOnce, isStream, iterate } from './given.ts';
import type { WeightOptions } from './model-options.ts';
import { keepsRows, type Network } from './network.ts';
import type { TrainingJob } from './run.ts';
import { arraySource, type BatchSource, streamSource } from './source.ts';
import { checkEvenBatches } from './states.ts';
import type { Trainer } from './trainer.ts';
import { windowedSource } from './truncated.ts';
import { checkTruncation } from './truncation.ts';

/** Options that belong to arrays; a stream brings them along or decides by itself. */
const ofArrays: Readonly<Record<string, string>> = {
  batchSize: 'Batches of a stream have the size with which they come.',
  validationSplit: 'Give validationData, or split the data before.',
  sampleWeight: 'Yield [x, y, sampleWeight].',
  mask: 'Yield { x, y, mask }.',
};

export function refuseArrayOptions(options: object, where: string): void {
  for (const [name, next] of Object.entries(ofArrays)) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && value !== null)
      fail('ARGUMENT', `${where}: ${name}`, 'none where the data is a stream of batches', showValue(value), next);
  }
}

/** Data that was given as `(stream, options)`, `(stream, undefined, options)` or `(x, y, options)`. */
export interface Given<Options> {
  readonly x: unknown;
  readonly y: unknown;
  readonly options: Options;
}

export function argumentsOf<Options extends object>(
  x: unknown,
  second: unknown,
  third: Options | undefined,
  where: string,
): Given<Options> {
  if (!isStream(x)) return { x, y: second, options: third ?? ({} as Options) };
  const isPlain = typeof second === 'object' && second !== null && Object.getPrototypeOf(second) === Object.prototype;
  if (second !== undefined && second !== null && (third !== undefined || !isPlain))
    fail('ARGUMENT', `${where}: y`, 'none where the data is a stream of batches', showValue(second), 'Yield [x, y].');
  return { x, y: undefined, options: third ?? ((second ?? {}) as Options) };
}

export class Sources {
  private readonly assembly: Assembly;
  private readonly owner: Owner;

  constructor(assembly: Assembly, owner: Owner) {
    this.assembly = assembly;
    this.owner = owner;
  }

  private keepsRows(): boolean {
    const network = this.owner.network();
    return network !== null && keepsRows(network);
  }

  private arrays(
    set: Samples,
    trainer: Trainer | null,
    batchSize: number,
    shuffle: boolean,
    where: string,
  ): BatchSource {
    const network = this.owner.buildFor(set.inputs[0].shape);
    checkEvenBatches(network, set.count, batchSize, where);
    const order = shuffle && trainer ? (iteration: number) => trainer.order(iteration, set.count) : null;
    return arraySource(set, batchSize, trainer, this.keepsRows(), order);
  }

  private sizeFor(set: Samples, given: number | undefined, where: string): number {
    return chooseBatchSize(given, this.owner.buildFor(set.inputs[0].shape), set.count, where);
  }

  /** Batches with targets. */
  private measured(stream: BatchStream, classWeight: WeightOptions['classWeight'], where: string): BatchSource {
    return this.stream(stream, where, (item, place) => {
      const { x, y, sampleWeight, mask } = fieldsOf(item, place);
      return this.assembly.objective(
        x,
        y,
        { sampleWeight: sampleWeight ?? undefined, mask: mask ?? undefined, classWeight },
        place,
      );
    });
  }

  private stream(
    stream: BatchStream,
    where: string,
    assemble: (item: unknown, where: string) => { readonly set: Samples; readonly trainer: Trainer | null },
  ): BatchSource {
    let taken = false;
    const once = isOnce(stream);
    return streamSource({
      count: countOf(stream),
      once,
      where,
      iterate: (iteration) => {
        if (once && taken) fail('DATA', where, 'data that can be read again', 'an iterator that was read before');
        taken = true;
        return iterate(stream, iteration, where);
      },
      assemble,
      keepsRows: () => this.keepsRows(),
    });
  }

  /** What `fit` and `train` run on. */
  training(model: TrainedModel, given: Given<FitOptions>, everyStep: boolean, where: string): TrainingJob {
    const { x, y, options } = given;
    checkFitOptions(options, where);
    const compilation = this.owner.compiled(where);
    const { epochs = 1, initialEpoch = 0, batchSize, stepsPerEpoch = null, validationBatchSize, classWeight } = options;
    let training: BatchSource;
    let held: BatchSource | null = null;
    let settings: { samples: number | null; batchSize: number | null; shuffle: boolean };
    let size = batchSize;
    const truncation = options.tbptt === undefined ? null : checkTruncation(options.tbptt, `${where}: tbptt`);
    let length: number | null = null;
    if (isStream(x)) {
      refuseArrayOptions(options, where);
      if (options.shuffle)
        fail(
          'ARGUMENT',
          `${where}: shuffle`,
          'false or nothing for a stream',
          'true',
          'Use shuffle(buffer, seed) of a Dataset.',
        );
      training = this.measured(x, classWeight, where);
      if (stepsPerEpoch === null && isEndless(x))
        fail('ARGUMENT', `${where}: stepsPerEpoch`, 'a number, because the data has no end', 'none');
      if (stepsPerEpoch === null && training.once && epochs - initialEpoch > 1)
        fail(
          'ARGUMENT',
          where,
          'stepsPerEpoch for an iterator, which can be read once',
          `none, and ${epochs - initialEpoch} epochs`,
          'Or give the generator function itself, which is called for every epoch.',
        );
      settings = { samples: null, batchSize: null, shuffle: false };
    } else {
      const { set, trainer } = this.assembly.objective(x, y, options, where);
      const split = options.validationData ? undefined : options.validationSplit;
      const [trained, weighted] = split ? splitSamples(set, split, where) : [set, null];
      // Classes have weights in training alone, as in Keras.
      const rest =
        split && classWeight
          ? splitSamples(
              this.assembly.objective(x, y, { ...options, classWeight: undefined }, where).set,
              split,
              where,
            )[1]
          : weighted;
      size = this.sizeFor(trained, batchSize, where);
      const { shuffle = true } = options;
      training = this.arrays(trained, trainer, size, shuffle, where);
      settings = { samples: trained.count, batchSize: size, shuffle };
      const shapes = set.inputs.map(({ shape }) => [set.count, ...shape]);
      if (truncation) length = trainer.windowed(shapes, `${where}: tbptt`).length;
      const place = `${where}: validation`;
      if (rest) held = this.arrays(rest, trainer, this.sizeFor(rest, validationBatchSize ?? size, place), false, place);
    }
    if (truncation) training = windowedSource(training, truncation, length, `${where}: tbptt`);
    const validation = held ?? this.validation(options, size, `${where}: validationData`);
    const { session, counters, seed } = this.owner;
    return {
      where,
      model,
      seed,
      optimizer: compilation.optimizer.className,
      session,
      counters,
      network: () => this.owner.network() as Network,
      training,
      validation,
      data: { ...settings, stepsPerEpoch, ...(truncation && { tbptt: truncation }) },
      // A loop of one's own says by itself what there is to say.
      options: everyStep ? { verbose: 0, ...options } : options,
      everyStep,
    };
  }

  private validation(options: FitOptions, batchSize: number | undefined, where: string): BatchSource | null {
    const { validationData, validationSteps, validationBatchSize } = options;
    const needs = (name: string, value: unknown) => {
      if (value !== undefined)
        fail('ARGUMENT', `fit: ${name}`, 'validationData or validationSplit beside it', 'none of them');
    };
    if (!validationData) {
      needs('validationSteps', validationSteps);
      needs('validationBatchSize', validationBatchSize);
      return null;
    }
    if (isStream(validationData)) {
      if (validationBatchSize !== undefined) refuseArrayOptions({ batchSize: validationBatchSize }, where);
      if (validationSteps === undefined && isEndless(validationData))
        fail('ARGUMENT', 'fit: validationSteps', 'a number, because the data has no end', 'none');
      if (
        validationSteps === undefined &&
        isOnce(validationData) &&
        (options.epochs ?? 1) - (options.initialEpoch ?? 0) > 1
      )
        fail(
          'ARGUMENT',
          where,
          'validationSteps for an iterator, which can be read once',
          'none',
          'Or give the generator function itself.',
        );
      return this.measured(validationData, undefined, where);
    }
    const { x, y, sampleWeight, mask } = fieldsOf(validationData, where);
    const weights = { sampleWeight: sampleWeight ?? undefined, mask: mask ?? undefined };
    // Arrays are checked at once, also where the training data comes later and builds the model.
    const { set, trainer } = this.assembly.objective(x, y, weights, where);
    return this.arrays(set, trainer, this.sizeFor(set, validationBatchSize ?? batchSize, where), false, where);
  }

  /** What `evaluate` runs on. */
  evaluation(x: unknown, y: unknown, options: WeightOptions & { batchSize?: number }, where: string): BatchSource {
    this.owner.compiled(where);
    if (isStream(x)) {
      refuseArrayOptions(options, where);
      return this.measured(x, options.classWeight, where);
    }
    const { set, trainer } = this.assembly.objective(x, y, options, where);
    return this.arrays(set, trainer, this.sizeFor(set, options.batchSize, where), false, where);
  }

  /** What `predict` runs on. */
  prediction(x: unknown, options: { batchSize?: number; mask?: unknown }, where: string): BatchSource {
    if (isStream(x)) {
      refuseArrayOptions(options, where);
      return this.stream(x, where, (item, place) => {
        const { x: inputs, mask } = fieldsOf(item, place);
        return { set: this.assembly.inputs(inputs, mask, place).set, trainer: null };
      });
    }
    const { set } = this.assembly.inputs(x, options.mask, where);
    return this.arrays(set, null, this.sizeFor(set, options.batchSize, where), false, where);
  }
}

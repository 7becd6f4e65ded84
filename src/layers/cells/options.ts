/** Options that the cells share, once. */
import { activationOption } from '../activations.ts';
import { constraintOption } from '../constraints.ts';
import { initializerOption } from '../initializers.ts';
import { beyondKeras, flag, fraction, option, positiveInteger, seedOption } from '../options.ts';
import { regularizerOption } from '../regularizers.ts';

/** Options up to the initialisers, in Keras's order. */
export const unitsAndActivation = {
  /** Size of the state and of the output. */
  units: positiveInteger(),
  /** Of the candidate and of the output. Default tanh. */
  activation: activationOption('tanh'),
};

export const recurrentActivation = {
  /** Of the gates. Default sigmoid. */
  recurrentActivation: activationOption('sigmoid'),
};

export const biasAndInitializers = {
  /** Default true. */
  useBias: flag(true),
  /** Of the input kernel. Default glorotUniform. */
  kernelInitializer: initializerOption('glorotUniform'),
  /** Of the recurrent kernel. Default orthogonal. */
  recurrentInitializer: initializerOption('orthogonal'),
  /** Of the bias. Default zeros. */
  biasInitializer: initializerOption('zeros'),
};

export const regularizersAndDropout = {
  /** Of the input kernel, added to the loss. Default none, as of all that follow. */
  kernelRegularizer: regularizerOption(),
  recurrentRegularizer: regularizerOption(),
  biasRegularizer: regularizerOption(),
  /** Of the input kernel, holds after every step of the optimizer. */
  kernelConstraint: constraintOption(),
  recurrentConstraint: constraintOption(),
  biasConstraint: constraintOption(),
  /** Share of the inputs that is dropped in training, the same at every step. Default 0. */
  dropout: fraction(0),
  /** Share of the state that is dropped in training, the same at every step, drawn for each gate. Default 0. */
  recurrentDropout: fraction(0),
};

export const seed = {
  /** Of the dropout; default: the model's. */
  seed: seedOption(),
};

const optionalSize = () =>
  beyondKeras(
    option<number | null>(
      'a positive integer, or null',
      (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v > 0),
      null,
    ),
  );

/** What gated cells can do beyond Keras's; written to configurations only where it is used, since Keras does not know it. */
export const gatedExtras = {
  /**
   * Layer normalisation of x W and h U, over all gates together, each with a gain of its own; in an LSTM also of the memory before it is
   * put out. Ba, Kiros, Hinton (2016), equations 20 to 22; epsilon 1e-5. Default false.
   */
  layerNormalization: beyondKeras(flag(false)),
  /** Size of the projection of the state that goes into the recurrent product. Default null: none. */
  projection: optionalSize(),
  /** Size of a linear projection that becomes the output in place of the state. Default null: none. */
  outputProjection: optionalSize(),
  /**
   * Share of the state that keeps its value at a step, drawn anew for each step in training; else the expected value. Krueger et al. (2017).
   * Default 0.
   */
  zoneout: beyondKeras(fraction(0)),
};

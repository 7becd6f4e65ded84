/** Options that the cells share, once. */
import { activationOption } from '../activations.ts';
import { initializerOption } from '../initializers.ts';
import { absent, flag, fraction, positiveInteger, seedOption } from '../options.ts';

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
  kernelRegularizer: absent('Regularisers'),
  recurrentRegularizer: absent('Regularisers'),
  biasRegularizer: absent('Regularisers'),
  kernelConstraint: absent('Constraints'),
  recurrentConstraint: absent('Constraints'),
  biasConstraint: absent('Constraints'),
  /** Share of the inputs that is dropped in training, the same at every step. Default 0. */
  dropout: fraction(0),
  /** Share of the state that is dropped in training, the same at every step, drawn for each gate. Default 0. */
  recurrentDropout: fraction(0),
};

export const seed = {
  /** Of the dropout; default: the model's. */
  seed: seedOption(),
};

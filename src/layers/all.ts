/** Every layer by its factory, for users (`layers.lstm({ units: 32 })`) and for readers of configurations (by class name). */

import { activation, elu, leakyRelu, prelu, relu, softmax } from './activation.ts';
import { additiveAttention, attention } from './attention.ts';
import { batchNormalization } from './batch-normalization.ts';
import { bidirectional } from './bidirectional.ts';
import { gruCell } from './cells/gru.ts';
import { indRNNCell } from './cells/ind-rnn.ts';
import { lstmCell } from './cells/lstm.ts';
import { minimalGatedUnitCell } from './cells/minimal-gated-unit.ts';
import { simpleRNNCell } from './cells/simple-rnn.ts';
import { stackedRNNCells } from './cells/stacked.ts';
import { conv1d, conv2d, depthwiseConv1d, separableConv1d } from './convolution.ts';
import { crf } from './crf.ts';
import { custom } from './custom.ts';
import { dense } from './dense.ts';
import { dot } from './dot.ts';
import { dropout } from './dropout.ts';
import { einsumDense } from './einsum-dense.ts';
import { embedding } from './embedding.ts';
import { activityRegularization, identity } from './identity.ts';
import { input } from './input.ts';
import type { LayerDefinition } from './layer.ts';
import { cropping1d, upSampling1d, zeroPadding1d } from './lengthening.ts';
import { masking } from './masking.ts';
import { add, average, concatenate, maximum, minimum, multiply, subtract } from './merge.ts';
import { groupQueryAttention, multiHeadAttention } from './multi-head-attention.ts';
import { alphaDropout, gaussianDropout, gaussianNoise } from './noise.ts';
import { groupNormalization, layerNormalization, rmsNormalization, unitNormalization } from './normalization.ts';
import { averagePooling1d, globalAveragePooling1d, globalMaxPooling1d, maxPooling1d } from './pooling.ts';
import { positionEmbedding, sinePositionEncoding } from './positions.ts';
import {
  convLstm1d,
  convLstm2d,
  convLstm3d,
  gru,
  indRNN,
  lstm,
  minimalGatedUnit,
  rnn,
  simpleRNN,
} from './recurrent.ts';
import { flatten, permute, repeatVector, reshape } from './reshaping.ts';
import { sampledSoftmax } from './sampled-softmax.ts';
import { spatialDropout1d } from './spatial-dropout.ts';
import { timeDistributed } from './time-distributed.ts';

/** The layers. */
export const layers = {
  input,
  embedding,
  simpleRNN,
  lstm,
  gru,
  minimalGatedUnit,
  indRNN,
  convLstm1d,
  convLstm2d,
  convLstm3d,
  rnn,
  bidirectional,
  dense,
  dropout,
  masking,
  identity,
  activityRegularization,
  timeDistributed,
  activation,
  relu,
  leakyRelu,
  elu,
  prelu,
  softmax,
  spatialDropout1d,
  gaussianNoise,
  gaussianDropout,
  alphaDropout,
  batchNormalization,
  layerNormalization,
  rmsNormalization,
  unitNormalization,
  groupNormalization,
  conv1d,
  conv2d,
  depthwiseConv1d,
  separableConv1d,
  maxPooling1d,
  averagePooling1d,
  globalMaxPooling1d,
  globalAveragePooling1d,
  flatten,
  reshape,
  permute,
  repeatVector,
  cropping1d,
  zeroPadding1d,
  upSampling1d,
  einsumDense,
  add,
  subtract,
  multiply,
  average,
  maximum,
  minimum,
  concatenate,
  dot,
  attention,
  additiveAttention,
  multiHeadAttention,
  groupQueryAttention,
  sinePositionEncoding,
  positionEmbedding,
  crf,
  sampledSoftmax,
  custom,
  simpleRNNCell,
  lstmCell,
  gruCell,
  minimalGatedUnitCell,
  indRNNCell,
  stackedRNNCells,
};

/** Definitions by Keras's class name. */
export const layerClasses: ReadonlyMap<string, LayerDefinition> = new Map(
  [
    input,
    embedding,
    simpleRNN,
    lstm,
    gru,
    minimalGatedUnit,
    indRNN,
    convLstm1d,
    convLstm2d,
    convLstm3d,
    rnn,
    bidirectional,
    dense,
    dropout,
    masking,
    identity,
    activityRegularization,
    timeDistributed,
    activation,
    relu,
    leakyRelu,
    elu,
    prelu,
    softmax,
    spatialDropout1d,
    gaussianNoise,
    gaussianDropout,
    alphaDropout,
    batchNormalization,
    layerNormalization,
    rmsNormalization,
    unitNormalization,
    groupNormalization,
    conv1d,
    conv2d,
    depthwiseConv1d,
    separableConv1d,
    maxPooling1d,
    averagePooling1d,
    globalMaxPooling1d,
    globalAveragePooling1d,
    flatten,
    reshape,
    permute,
    repeatVector,
    cropping1d,
    zeroPadding1d,
    upSampling1d,
    einsumDense,
    add,
    subtract,
    multiply,
    average,
    maximum,
    minimum,
    concatenate,
    dot,
    attention,
    additiveAttention,
    multiHeadAttention,
    groupQueryAttention,
    sinePositionEncoding,
    positionEmbedding,
    crf,
    sampledSoftmax,
  ].map((factory) => [factory.definition.className, factory.definition as unknown as LayerDefinition]),
);

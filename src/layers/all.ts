/** Every layer by its factory, for users (`layers.lstm({ units: 32 })`) and for readers of configurations (by class name). */
import { bidirectional } from './bidirectional.ts';
import { gruCell } from './cells/gru.ts';
import { lstmCell } from './cells/lstm.ts';
import { simpleRNNCell } from './cells/simple-rnn.ts';
import { dense } from './dense.ts';
import { dropout } from './dropout.ts';
import { embedding } from './embedding.ts';
import { input } from './input.ts';
import type { LayerDefinition } from './layer.ts';
import { gru, lstm, rnn, simpleRNN } from './recurrent.ts';

/** The layers. */
export const layers = {
  input,
  embedding,
  simpleRNN,
  lstm,
  gru,
  rnn,
  bidirectional,
  dense,
  dropout,
  simpleRNNCell,
  lstmCell,
  gruCell,
};

/** Definitions by Keras's class name. */
export const layerClasses: ReadonlyMap<string, LayerDefinition> = new Map(
  [input, embedding, simpleRNN, lstm, gru, rnn, bidirectional, dense, dropout].map((factory) => [
    factory.definition.className,
    factory.definition as unknown as LayerDefinition,
  ]),
);

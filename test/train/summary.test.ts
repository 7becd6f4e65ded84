/** The tables, character by character as Keras 3.15 printed them in a terminal of 80 columns; Keras 2's by the rules of its printer. */
import { describe, expect, it } from 'vitest';
import { input, model, type SymbolicTensor } from '../../src/index.ts';
import { layers } from '../../src/layers/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const review = (started = true) =>
  sequential([
    ...(started ? [layers.input({ shape: [7] })] : []),
    layers.embedding({ inputDim: 256, outputDim: 100, maskZero: true }),
    layers.bidirectional({ layer: layers.lstm({ units: 20, returnSequences: true }) }),
    layers.gru({ units: 4, name: 'a_very_long_layer_name_that_wraps_somewhere' }),
  ]);
const lineLength = 76;

describe('style keras3', () => {
  it('cuts long names, and wraps', () => {
    expect(review().summary({ print: null, lineLength })).toBe(`Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ embedding (Embedding)           │ (None, 7, 100)         │        25,600 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ bidirectional (Bidirectional)   │ (None, 7, 40)          │        19,360 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ a_very_long_layer_name_that_wr… │ (None, 4)              │           552 │
│ (GRU)                           │                        │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 45,512 (177.78 KB)
 Trainable params: 45,512 (177.78 KB)
 Non-trainable params: 0 (0.00 B)`);
  });
  it('before the shape is known', () => {
    const text = review(false).summary({ print: null, lineLength });
    expect(text).toContain('│ embedding (Embedding)           │ ?                      │   0 (unbuilt) │');
    expect(text).toContain(' Total params: 0 (0.00 B)');
  });
  it('prints to where it is told', () => {
    const printed: string[] = [];
    const text = review().summary({ print: (t) => void printed.push(t) });
    expect(printed).toEqual([text]);
    expect(() => review().summary({ width: 3 } as never)).toThrow(/summary: expected options among/);
  });
});

describe('style keras2', () => {
  it('has rules, plain counts and broken names', () => {
    const line = '_'.repeat(65);
    expect(review().summary({ print: null, style: 'keras2' }).split('\n')).toEqual([
      'Model: "sequential"',
      line,
      ' Layer (type)                Output Shape              Param #   ',
      '='.repeat(65),
      ' embedding (Embedding)       (None, 7, 100)            25600     ',
      ' '.repeat(65),
      ' bidirectional (Bidirection  (None, 7, 40)             19360     ',
      ' al)                                                             ',
      ' '.repeat(65),
      ' a_very_long_layer_name_tha  (None, 4)                 552       ',
      ' t_wraps_somewhere (GRU)                                         ',
      ' '.repeat(65),
      '='.repeat(65),
      'Total params: 45512 (177.78 KB)',
      'Trainable params: 45512 (177.78 KB)',
      'Non-trainable params: 0 (0.00 Byte)',
      line,
    ]);
  });

  it('sets models in a model between rules, and the shapes of inputs and states in lists', () => {
    const x = input({ shape: [4, 3], name: 'x' });
    const steps = sequential([layers.dense({ units: 2 }), layers.dense({ units: 2 })], { name: 'steps' });
    const [y, h] = layers.gru({ units: 2, returnState: true, name: 'gru' }).apply<SymbolicTensor[]>(steps.apply(x));
    const outer = model({ inputs: x, outputs: layers.add({ name: 'sum' }).apply([y, h]), name: 'outer' });
    const text = outer.summary({ print: null, style: 'keras2', expandNested: true, lineLength: 70 });
    expect(text.split('\n').slice(1, -4)).toEqual([
      '_'.repeat(70),
      ' Layer (type)        Output Shape         Para   Connected to         ',
      '                                          m #                         ',
      '='.repeat(70),
      ' x (InputLayer)      [(None, 4, 3)]       0      []                   ',
      ' '.repeat(70),
      " steps (Sequential)  (None, 4, 2)         14     ['x[0][0]']          ",
      `|${'¯'.repeat(68)}|`,
      '| dense (Dense)      (None, 4, 2)         8      []                  |',
      `|${' '.repeat(68)}|`,
      '| dense_1 (Dense)    (None, 4, 2)         6      []                  |',
      '¯'.repeat(70),
      " gru (GRU)           [(None, 2),          36     ['steps[0][0]']      ",
      '                      (None, 2)]                                      ',
      ' '.repeat(70),
      " sum (Add)           (None, 2)            0      ['gru[0][0]',        ",
      "                                                  'gru[0][1]']        ",
      ' '.repeat(70),
      '='.repeat(70),
    ]);
  });
});

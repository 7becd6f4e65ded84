/** The tables, character by character as Keras 3.15 printed them in a terminal of 80 columns; Keras 2's by the rules of its printer. */
import { describe, expect, it } from 'vitest';
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
      ' bidirectional (Bidirectiona  (None, 7, 40)            19360     ',
      ' l)                                                              ',
      ' '.repeat(65),
      ' a_very_long_layer_name_that  (None, 4)                552       ',
      ' _wraps_somewhere (GRU)                                          ',
      ' '.repeat(65),
      '='.repeat(65),
      'Total params: 45512 (177.78 KB)',
      'Trainable params: 45512 (177.78 KB)',
      'Non-trainable params: 0 (0.00 Byte)',
      line,
    ]);
  });
});

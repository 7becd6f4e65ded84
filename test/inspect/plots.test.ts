/** Pictures of inspections: what is drawn, as SVG, PNG and text. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { plotAttention } from '../../src/inspect/plot-attention.ts';
import { plotConfusion } from '../../src/inspect/plot-confusion.ts';
import { plotGradientFlow } from '../../src/inspect/plot-gradient-flow.ts';
import { plotHistory } from '../../src/inspect/plot-history.ts';
import { plotLearningRates } from '../../src/inspect/plot-learning-rates.ts';
import { plotGates, plotStates } from '../../src/inspect/plot-states.ts';
import { renderPng } from '../../src/inspect/render-png.ts';
import { textCurves, textHeatMap } from '../../src/inspect/terminal.ts';
import { layers } from '../../src/layers/all.ts';
import { input, model } from '../../src/train/functional.ts';
import { inspect } from '../../src/train/inspect.ts';
import { sequential } from '../../src/train/sequential.ts';

const words = ['', 'a', 'long', 'film'];
const sentence = NdArray.from([[0, 1, 2, 3]]);
const reader = sequential([
  layers.embedding({ inputDim: 5, outputDim: 4, maskZero: true }),
  layers.lstm({ units: 3 }),
  layers.dense({ units: 1 }),
]);
reader.compile({ optimizer: 'sgd', loss: 'mse' });
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map((match) => match[1]);

describe('plotStates and plotGates', () => {
  it('name tokens and units, and leave out padding', async () => {
    const found = await inspect(reader, sentence);
    const svg = await plotStates(found, { tokens: words, title: 'A film' });
    const said = texts(svg);
    for (const word of ['A film', 'state h', 'state c', 'a', 'long', 'film', 'token', 'unit', '0', '2'])
      expect(said).toContain(word);
    // 3 units at 3 steps in 2 panels.
    const count = (await plotStates(found, { tokens: words, units: [1] })).length;
    expect(count).toBeLessThan(svg.length);
    const gates = texts(await plotGates(found, { layer: 'lstm', hideMasked: false }));
    for (const word of ['gate input', 'gate forget', 'gate candidate', 'gate output', 'step'])
      expect(gates).toContain(word);
  });

  it('as text have a block for every step, higher for larger values', async () => {
    const text = await plotStates(await inspect(reader, sentence), { format: 'terminal', color: false });
    expect(text).toMatch(/^States of lstm\n\nstate h\n0 [▁▂▃▄▅▆▇█ ]+\n1 /);
    expect(text).not.toContain('\u001b');
    const map = {
      title: 't',
      rowLabels: ['0'],
      columnLabels: ['a', 'b', 'c', 'd'],
      values: [[0, 1, null, 0.5]],
      low: 0,
      high: 1,
    };
    expect(textHeatMap(map, false)).toBe('t\n0 ▁ █ · ▅ \n  a b c d\n  0 ▁▂▃▄▅▆▇█ 1');
    expect(textHeatMap(map, true)).toContain('\u001b[48;2;');
  });

  it('refuse layers, rows, units and tokens that are not there', async () => {
    const found = await inspect(reader, sentence);
    expect(() => plotStates(found, { layer: 'dense' })).toThrow(/plotStates: layer: .*lstm.*received dense/);
    expect(() => plotStates(found, { row: 1 })).toThrow(/row from 0 to 0/);
    expect(() => plotStates(found, { units: [3] })).toThrow(/units from 0 to 2/);
    expect(() => plotStates(found, { tokens: ['a'] })).toThrow(/tokens: expected 4/);
    await expect(plotStates(found, { format: 'png' as never })).rejects.toThrow(/renderPng/);
    const plain = sequential([layers.input({ shape: [3, 1] }), layers.simpleRNN({ units: 2 })]);
    const bare = await inspect(plain, NdArray.zeros([1, 3, 1]));
    expect(() => plotGates(bare)).toThrow(/a cell that names its gates/);
  });
});

describe('plotGradientFlow', () => {
  it('draws a line for every model on an axis of powers of ten', async () => {
    const found = await inspect(reader, sentence, { y: [[1]] });
    const svg = await plotGradientFlow({ first: found, second: found });
    const said = texts(svg);
    for (const word of ['first', 'second', 'norm of the gradient', 'step of the sequence'])
      expect(said).toContain(word);
    expect(said.filter((word) => /^(1e-\d+|0\.0*1|10*)$/.test(word)).length).toBeGreaterThan(1);
    expect(svg).not.toContain('NaN');
    expect(await plotGradientFlow(found, { format: 'terminal', color: false })).toContain('● lstm');
    await expect(plotGradientFlow(found, { state: 'z' })).rejects.toThrow(/state: expected one of h, c, received 'z'/);
    await expect(plotGradientFlow(await inspect(reader, sentence))).rejects.toThrow(/inspect\(model, x, \{ y \}\)/);
  });
});

describe('plotAttention and plotConfusion', () => {
  it('write their numbers into the cells', async () => {
    const a = input({ shape: [3, 2] });
    const own = model({ inputs: a, outputs: layers.multiHeadAttention({ numHeads: 2, keyDim: 2 }).apply([a, a]) });
    const x = NdArray.from(RandomKey.from(1).normal(6), [1, 3, 2]);
    const said = texts(await plotAttention(await inspect(own, x), { tokens: ['x', 'y', 'z'] }));
    for (const word of ['head 0', 'head 1', 'x', 'y', 'z', 'query']) expect(said).toContain(word);
    expect(said.filter((word) => /^0\.\d\d$/.test(word)).length).toBeGreaterThanOrEqual(18);
    expect(() => plotAttention({ layers: [] } as never)).toThrow(/a layer with attention/);

    const confusion = texts(
      await plotConfusion([0, 1, 1, 1], [[0.2], [0.9], [0.8], [0.1]], { classes: ['no', 'yes'] }),
    );
    for (const word of ['3 of 4 right (75.0%)', 'no (1)', 'yes (3)', 'predicted', 'true', '2'])
      expect(confusion).toContain(word);
    expect(() => plotConfusion([0, 1], [0])).toThrow(/as many predictions/);
    expect(() => plotConfusion([0, 3], [0, 1], { classes: ['a', 'b'] })).toThrow(/a name for each of 4 classes/);
  });
});

/** How far down the line of the lower axis is: the longest flat one that is no line of the grid. */
function axisHeight(svg: string): number {
  const [longest] = [...svg.matchAll(/<path d="M(\S+) (\S+)L(\S+) (\S+)"[^>]*stroke="(#[0-9a-f]{6})"/g)]
    .filter(([, , from, , to, colour]) => from === to && colour !== '#e6e6e6')
    .sort((a, b) => Number(b[3]) - Number(b[1]) - (Number(a[3]) - Number(a[1])));
  return Number(longest[2]);
}

it('axes are at the lower edge, and the names of marks within the picture', async () => {
  const rates = [1e-4, 1e-3, 1e-2, 1e-1, 1];
  const losses = [-1, -0.5, -0.5, 1, 0.5];
  const found = { rates, losses, smoothed: losses, valley: 1e-4, steepest: 1, suggestion: 1e-4, diverged: false };
  const sweep = await plotLearningRates(found);
  const curves = await plotHistory({ loss: [-1, 1], val_loss: [-0.5, 0.5] });
  const withLoss = await inspect(reader, sentence, { y: [[1000]] });
  for (const svg of [sweep, curves, await plotGradientFlow(withLoss)]) expect(axisHeight(svg)).toBeGreaterThan(350);
  // The middles of the texts.
  const middle = (svg: string, text: string) =>
    Number(new RegExp(`translate\\((\\S+) \\S+\\)"[^>]*>${text}<`).exec(svg)?.[1] ?? Number.NaN);
  expect(middle(sweep, 'valley 1.0e-4')).toBeGreaterThan(64);
  expect(middle(sweep, 'steepest 1.0e\\+0')).toBeLessThan(640 - 64);
  expect(middle(curves, '-0.500')).toBeGreaterThan(64 + 20);
});

it('renders PNG, and says where there is no font instead of leaving the letters out', async () => {
  const svg = await plotHistory({ loss: [1, 0.5] });
  const png = await renderPng(svg, { scale: 1 }).catch((error: Error) => error);
  if (png instanceof Error) expect(png.message).toMatch(/a font to write with, received none on this system/);
  else {
    expect([...png.slice(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
    const view = new DataView(png.buffer, png.byteOffset);
    expect([view.getUint32(16), view.getUint32(20)]).toEqual([460, 420]);
  }
  await expect(renderPng(svg, { systemFonts: false })).rejects.toThrow(
    /expected a font to write with, received no font file/,
  );
  await expect(renderPng('hello')).rejects.toThrow(/an SVG as text/);
});

it('draws curves as text', async () => {
  const chart = { title: 'Loss', xName: 'epoch', xFrom: 1, width: 5, height: 3, color: false };
  expect(textCurves([{ name: 'training', values: [1, Number.NaN, 0] }], chart).split('\n')).toEqual([
    'Loss',
    '● training',
    '  1 ┤●',
    '0.5 ┤',
    '  0 ┤    ●',
    '    └─────',
    '     1 epoch 3',
  ]);
  const history = await plotHistory({ loss: [3, 1], val_loss: [4, 2] }, { format: 'terminal', color: false });
  expect(history).toMatch(/^Learning curves\n\nLoss\n● training {3}○ validation\n/);
});

/** How much of the gradient reaches every step of the time: the picture of vanishing and exploding gradients. */
import { fail } from '../core/errors.ts';
import { type InspectedLayer, Inspection } from '../train/inspect.ts';
import { dashes, drawSvg, formatOf, hues, type PictureOptions, powerOfTen, titleOf, usesColor } from './picture.ts';
import { textCurves } from './terminal.ts';

export interface PlotGradientFlowOptions extends PictureOptions {
  /** Path of the layer, in every inspection that has it. Default: all layers that walk over time. */
  layer?: string;
  /** Which part of the state. Default: the one with the largest gradient, at every step. */
  state?: string;
  /** Default 720 pixels. */
  width?: number;
  /** Default 420 pixels. */
  height?: number;
}

interface Flow {
  readonly name: string;
  readonly norms: readonly number[];
}

/** Norms below this share of the largest are drawn at the lower edge: float32 knows nothing of them. */
const decades = 40;

function flowOf(name: string, { gradientNorms, path }: InspectedLayer, state: string | undefined): Flow {
  const parts = state === undefined ? Object.values(gradientNorms) : [gradientNorms[state]];
  if (!parts[0])
    fail(
      'ARGUMENT',
      'plotGradientFlow: state',
      Object.keys(gradientNorms).length ? `one of ${Object.keys(gradientNorms).join(', ')}` : 'an inspection with `y`',
      Object.keys(gradientNorms).length ? `'${state}'` : `one of ${path} without gradients`,
      'Gradients need targets: `inspect(model, x, { y })`.',
    );
  return { name, norms: Array.from(parts[0], (_, t) => Math.max(...parts.map((own) => own[t]))) };
}

function flowsOf(given: Inspection | Readonly<Record<string, Inspection>>, options: PlotGradientFlowOptions): Flow[] {
  const models: [string, Inspection][] = given instanceof Inspection ? [['', given]] : Object.entries(given);
  return models.flatMap(([model, inspection]) => {
    const layers = options.layer === undefined ? inspection.recurrent : [inspection.layer(options.layer)];
    return layers.map((layer) => {
      const name = !model ? layer.path : layers.length > 1 ? `${model} ${layer.path}` : model;
      return flowOf(name, layer, options.state);
    });
  });
}

/**
 * The norm of the gradient of the loss for the state, at every step, on a logarithmic axis: a line for every layer that walks over time, of one
 * model or of several by name. A line that falls towards the first step is a gradient that vanishes.
 *
 * @param given what `inspect` gave for `y`; or several of them by name
 * @example await plotGradientFlow({ SimpleRNN: await inspect(simple, x, { y }), LSTM: await inspect(lstm, x, { y }) });
 */
export async function plotGradientFlow(
  given: Inspection | Readonly<Record<string, Inspection>>,
  options: PlotGradientFlowOptions = {},
): Promise<string> {
  const where = 'plotGradientFlow';
  const flows = flowsOf(given, options);
  if (!flows.length) fail('ARGUMENT', where, 'a model with a layer over time', 'none');
  const { title = 'Gradient flow through time', subtitle = '', width = 720, height = 420 } = options;
  if (formatOf(options, where, ['layer', 'state', 'width', 'height']) === 'terminal')
    return textCurves(
      flows.map(({ name, norms }) => ({ name, values: norms })),
      { title, xName: 'step', xFrom: 0, logarithmic: true, color: usesColor(options) },
    );
  const positive = flows.flatMap(({ norms }) => norms.filter((v) => v > 0 && Number.isFinite(v)));
  const top = Math.ceil(Math.log10(positive.length ? Math.max(...positive) : 1));
  const bottom = Math.max(top - decades, Math.floor(Math.log10(positive.length ? Math.min(...positive) : 0.1)));
  const every = Math.max(1, Math.ceil((top - bottom) / 8));
  return drawSvg(
    {
      title: titleOf(title, subtitle, 16),
      grid: {
        left: 78,
        right: 20 + 7.2 * Math.max(...flows.map(({ name }) => name.length)),
        top: subtitle ? 84 : 64,
        bottom: 56,
      },
      xAxis: {
        type: 'value',
        name: 'step of the sequence',
        nameLocation: 'middle',
        nameGap: 28,
        min: 0,
        max: Math.max(1, ...flows.map(({ norms }) => norms.length - 1)),
        minInterval: 1,
        splitLine: { show: false },
        // At the lower edge, not where the norm is 1.
        axisLine: { onZero: false },
      },
      // Powers of ten by hand: the logarithmic axis names some and leaves out others.
      yAxis: {
        type: 'value',
        name: 'norm of the gradient',
        nameLocation: 'middle',
        nameGap: 52,
        min: bottom,
        max: bottom === top ? top + 1 : bottom + every * Math.ceil((top - bottom) / every),
        interval: every,
        axisLabel: { formatter: (exponent: number) => powerOfTen(10 ** exponent) },
        splitLine: { lineStyle: { color: '#e6e6e6' } },
      },
      series: flows.map(({ name, norms }, i) => ({
        type: 'line' as const,
        name,
        // Where nothing arrives, the line ends.
        data: norms.map((v, t) => [t, v > 0 && Number.isFinite(v) ? Math.max(bottom, Math.log10(v)) : null]),
        symbol: 'none',
        lineStyle: {
          color: hues[i % hues.length],
          width: 2.5,
          type: dashes[Math.floor(i / hues.length) % dashes.length] as 'solid',
        },
        itemStyle: { color: hues[i % hues.length] },
        endLabel: { show: true, formatter: name, color: hues[i % hues.length], fontWeight: 'bold' as const },
        labelLayout: { moveOverlap: 'shiftY' as const },
      })),
    },
    width,
    height,
  );
}

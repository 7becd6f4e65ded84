/**
 * The sweep of `findLearningRate` as an SVG text: the loss over the rate on a logarithmic axis, as it was and smoothed, with the rates that it
 * speaks for. Drawn with echarts on the server side, which is loaded at the first call and needs no browser.
 */
import type { EChartsOption } from 'echarts';
import { fail } from '../core/errors.ts';
import type { FoundLearningRates } from '../train/find-learning-rate.ts';
import { formatOf, type PictureOptions, powerOfTen, usesColor } from './picture.ts';
import { textCurves } from './terminal.ts';

export interface PlotLearningRatesOptions extends PictureOptions {
  /** Default 640 pixels. */
  width?: number;
  /** Default 420 pixels. */
  height?: number;
}

// two hues that stay apart for colour-blind eyes and in grey print
const colours = { raw: '#b8cfe3', smoothed: '#1f6fb2', mark: '#d1600a' };

const columns = 60;

/** The means of values in columns of one width on a logarithmic axis; NaN where none stand. */
function overRates(rates: readonly number[], values: readonly number[]): number[] {
  const [low, high] = [Math.log(rates[0]), Math.log(rates[rates.length - 1])];
  const sums = new Array<number>(columns).fill(0);
  const counts = new Array<number>(columns).fill(0);
  rates.forEach((rate, i) => {
    const at = high > low ? Math.round(((Math.log(rate) - low) / (high - low)) * (columns - 1)) : 0;
    sums[at] += values[i];
    counts[at]++;
  });
  return sums.map((sum, i) => sum / counts[i]);
}

function asText(
  { rates, losses, smoothed, suggestion }: FoundLearningRates,
  options: PlotLearningRatesOptions,
): string {
  const { title = 'Learning rates', subtitle } = options;
  const named = (rate: number) => rate.toExponential(1);
  const chart = textCurves(
    [
      { name: 'loss', values: overRates(rates, losses) },
      { name: 'smoothed', values: overRates(rates, smoothed) },
    ],
    {
      title: subtitle ? `${title}\n${subtitle}` : title,
      xName: 'learning rate',
      xFrom: [named(rates[0]), named(rates[rates.length - 1])],
      width: columns,
      color: usesColor(options),
    },
  );
  return suggestion === null ? chart : `${chart}\nsuggested: ${named(suggestion)}`;
}

/**
 * Draws what a sweep has found. Throws DATA for one without a step.
 *
 * @example await writeFile('rates.svg', await plotLearningRates(await findLearningRate(model, x, y)));
 */
export async function plotLearningRates(
  found: FoundLearningRates,
  options: PlotLearningRatesOptions = {},
): Promise<string> {
  const { rates, losses, smoothed, valley, steepest } = found;
  if (!rates.length) fail('DATA', 'plotLearningRates', 'at least one step', 'none');
  if (formatOf(options, 'plotLearningRates', ['width', 'height']) === 'terminal') return asText(found, options);
  const { init } = await import('echarts');
  const { title = 'Learning rates', subtitle = '', width = 640, height = 420 } = options;
  const curve = (name: string, values: readonly number[], colour: string, thickness: number) => ({
    type: 'line' as const,
    name,
    data: values.map((loss, i) => [rates[i], loss]),
    symbol: 'circle',
    symbolSize: rates.length > 40 ? 0 : 5,
    lineStyle: { color: colour, width: thickness },
    itemStyle: { color: colour },
  });
  const least = 10 ** Math.floor(Math.log10(rates[0]) + 1e-9);
  const most = 10 ** Math.ceil(Math.log10(rates[rates.length - 1]) - 1e-9);
  /** Where a rate stands on the axis, from 0 to 1. */
  const share = (rate: number) => Math.log(rate / least) / Math.log(most / least);
  const marks = [
    ['valley', valley],
    ['steepest', steepest],
  ].flatMap(([name, rate]) => {
    const at = rates.indexOf(rate as number);
    if (at < 0) return [];
    return [
      {
        coord: [rates[at], smoothed[at]],
        value: `${name} ${rates[at].toExponential(1)}`,
        symbol: 'circle',
        symbolSize: 11,
        itemStyle: { color: 'transparent', borderColor: colours.mark, borderWidth: 2 },
        label: {
          // Apart from each other and from the curve, which falls here; within the picture.
          position: name === 'valley' ? ('bottom' as const) : ('top' as const),
          offset: name === 'valley' ? [share(rates[at]) < 0.15 ? 42 : -42, 6] : [share(rates[at]) > 0.8 ? -58 : 58, 0],
          color: colours.mark,
          fontWeight: 'bold' as const,
        },
      },
    ];
  });
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'Helvetica, Arial, sans-serif', color: '#222' },
    title: {
      text: title,
      subtext: subtitle,
      left: 64,
      top: 10,
      textStyle: { fontSize: 18 },
      subtextStyle: { fontSize: 12, color: '#555' },
    },
    legend: { top: 14, right: 24, data: ['loss', 'smoothed'] },
    grid: { left: 64, right: 24, top: 76, bottom: 56 },
    xAxis: {
      type: 'log',
      name: 'learning rate',
      nameLocation: 'middle',
      nameGap: 28,
      min: least,
      max: most,
      axisLabel: { formatter: (rate: number) => powerOfTen(rate) },
      splitLine: { show: false },
      axisLine: { onZero: false },
    },
    yAxis: { type: 'value', scale: true, splitLine: { lineStyle: { color: '#e6e6e6' } } },
    series: [
      curve('loss', losses, colours.raw, 1),
      { ...curve('smoothed', smoothed, colours.smoothed, 2), markPoint: { data: marks } },
    ] as EChartsOption['series'],
  };
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

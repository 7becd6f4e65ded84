/**
 * Learning curves as an SVG text: one panel for the loss and one for each metric, training and validation in each, the best validation
 * value marked. Drawn with echarts on the server side, which is loaded at the first call and needs no browser.
 */
import type { EChartsOption } from 'echarts';
import { fail } from '../core/errors.ts';
import { History } from '../train/history.ts';
import { formatOf, type PictureOptions, usesColor } from './picture.ts';
import { textCurves } from './terminal.ts';

/** What `fit` returns as `history.history`: a list of numbers per key; validation keys start with `val_`. */
export type Curves = Readonly<Record<string, readonly number[]>>;

export interface PlotHistoryOptions extends PictureOptions {
  /** Default 460 pixels a panel. */
  panelWidth?: number;
  /** Default 420 pixels. */
  height?: number;
}

// two hues that stay apart for colour-blind eyes and in grey print
const colours = { training: '#1f6fb2', validation: '#d1600a' };
const margin = { left: 64, right: 24, top: 104, bottom: 56 };

function spoken(key: string): string {
  const words = key
    .replace(/_/g, ' ')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Keys that have a panel: loss first, then the metrics in their order. */
function panelsOf(curves: Readonly<Record<string, Points>>): string[] {
  return Object.keys(curves).filter((key) => !key.startsWith('val_') && key !== 'lr' && key !== 'learning_rate');
}

function smallerIsBetter(key: string): boolean {
  return /loss|error|mae|mse|msle|mape|perplexity|entropy|[bc]ce$|hinge|divergence|kld|poisson|cosh|^false/i.test(key);
}

/** Values beside the epochs, counted from 1, that they belong to. */
type Points = readonly (readonly [epoch: number, value: number])[];

/**
 * The points of every key. A plain list says nothing of its epochs: one that is shorter than that of the loss is taken to come from a
 * validation after every so many epochs.
 */
function pointsOf(given: Curves | History): Record<string, Points> {
  const curves = given instanceof History ? given.history : given;
  const longest = Math.max(0, ...Object.values(curves ?? {}).map((values) => values?.length ?? 0));
  return Object.fromEntries(
    Object.entries(curves ?? {}).map(([key, values]): [string, Points] => {
      if (!Array.isArray(values))
        fail('DATA', `plotHistory: ${key}`, 'a list of numbers', typeof values, 'Give it what `fit` returns.');
      const every =
        Array.from({ length: longest }, (_, i) => i + 1).find((n) => Math.floor(longest / n) === values.length) ?? 1;
      const epochs = given instanceof History ? given.epochs[key] : null;
      return [key, values.map((value, i) => [epochs ? epochs[i] + 1 : every * (i + 1), value])];
    }),
  );
}

/** Position of the best finite value. */
function bestOf(values: Points, smaller: boolean): number {
  let best = -1;
  values.forEach(([, x], i) => {
    if (Number.isFinite(x) && (best < 0 || (smaller ? x < values[best][1] : x > values[best][1]))) best = i;
  });
  return best;
}

function line(name: string, values: Points, panel: number, colour: string) {
  return {
    type: 'line' as const,
    name,
    xAxisIndex: panel,
    yAxisIndex: panel,
    // a value that is not finite leaves a gap
    data: values.map(([epoch, y]) => [epoch, Number.isFinite(y) ? y : null]),
    symbol: 'circle',
    symbolSize: values.length > 40 ? 0 : 6,
    lineStyle: { color: colour, width: 2 },
    itemStyle: { color: colour },
  };
}

/**
 * Draws the curves of a fit.
 *
 * @param given what `fit` returns, or its `history`, which does not know after which epochs the validations were
 * @throws DATA for what holds no epoch, or no lists of numbers
 * @example
 * const history = await model.fit(x, y, { epochs: 10, validationSplit: 0.2 });
 * await writeFile('curves.svg', await plotHistory(history, { title: 'Reviews' }));
 */
export async function plotHistory(given: Curves | History, options: PlotHistoryOptions = {}): Promise<string> {
  const curves = pointsOf(given);
  const panels = panelsOf(curves);
  if (panels.length === 0 || panels.every((key) => curves[key].length === 0))
    fail('DATA', 'plotHistory', 'at least one finished epoch', 'none', 'Give it the history of a fit.');
  const places = panels.flatMap((key) => curves[key].map(([epoch]) => epoch));
  const [first, last] = [Math.min(...places), Math.max(...places)];
  const { title = 'Learning curves', subtitle = '', panelWidth = 460, height = 420 } = options;
  if (formatOf(options, 'plotHistory', ['panelWidth', 'height']) === 'terminal') {
    const color = usesColor(options);
    const charts = panels.map((key) => {
      const everyEpoch = (points: Points) => {
        const values = new Array<number>(last - first + 1).fill(Number.NaN);
        for (const [epoch, value] of points) values[epoch - first] = value;
        return values;
      };
      const shown = [{ name: 'training', values: everyEpoch(curves[key]) }];
      if (curves[`val_${key}`]?.length) shown.push({ name: 'validation', values: everyEpoch(curves[`val_${key}`]) });
      return textCurves(shown, { title: spoken(key), xName: 'epoch', xFrom: first, color });
    });
    return [title, ...(subtitle ? [subtitle] : []), '', charts.join('\n\n')].join('\n');
  }
  const { init } = await import('echarts');
  const width = panelWidth * panels.length;
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'Helvetica, Arial, sans-serif', color: '#222' },
    title: [
      {
        text: title,
        subtext: subtitle,
        left: margin.left,
        top: 10,
        textStyle: { fontSize: 18 },
        subtextStyle: { fontSize: 12, color: '#555' },
      },
      ...panels.map((key, i) => ({
        text: spoken(key),
        left: i * panelWidth + margin.left,
        top: margin.top - 32,
        textStyle: { fontSize: 14, fontWeight: 'bold' as const, color: '#222' },
      })),
    ],
    legend: {
      top: 14,
      right: margin.right,
      data: panels.some((key) => curves[`val_${key}`]?.length) ? ['training', 'validation'] : ['training'],
    },
    grid: panels.map((_, i) => ({
      left: i * panelWidth + margin.left,
      top: margin.top,
      width: panelWidth - margin.left - margin.right,
      height: height - margin.top - margin.bottom,
    })),
    xAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'value' as const,
      name: 'epoch',
      nameLocation: 'middle' as const,
      nameGap: 28,
      min: first,
      max: Math.max(first + 1, last),
      minInterval: 1,
      splitLine: { show: false },
      axisLine: { onZero: false },
    })),
    yAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'value' as const,
      scale: true,
      splitLine: { lineStyle: { color: '#e6e6e6' } },
    })),
    series: panels.flatMap((key, panel) => {
      const series: object[] = [line('training', curves[key], panel, colours.training)];
      const validation = curves[`val_${key}`];
      if (validation?.length) {
        const best = bestOf(validation, smallerIsBetter(key));
        const mark = {
          coord: validation[best],
          value: validation[best]?.[1].toPrecision(3),
          symbol: 'circle',
          symbolSize: 12,
          itemStyle: { color: 'transparent', borderColor: colours.validation, borderWidth: 2 },
          // Beside the numbers of the axis.
          label: {
            position: 'top' as const,
            offset: validation[best]?.[0] === first ? [24, 0] : [0, 0],
            color: colours.validation,
            fontWeight: 'bold' as const,
          },
        };
        series.push({
          ...line('validation', validation, panel, colours.validation),
          markPoint: { data: best < 0 ? [] : [mark] },
        });
      }
      return series;
    }) as EChartsOption['series'],
  };
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** What attention looks at, as a heat map for every head. */
import { fail } from '../core/errors.ts';
import type { Inspection } from '../train/inspect.ts';
import { drawHeatMaps, type HeatMap } from './heat-map.ts';
import type { PictureOptions } from './picture.ts';

export interface PlotAttentionOptions extends PictureOptions {
  /** Path of the layer. Default: the first with attention. */
  layer?: string;
  /** Row of the batch. Default 0. */
  row?: number;
  /** Which heads. Default: all. */
  heads?: readonly number[];
  /** What stands at every step of the queries. Default: the numbers of the steps. */
  tokens?: readonly string[];
  /** The same of the keys. Default: `tokens`, where they are as many. */
  keys?: readonly string[];
}

/**
 * The weights of attention for one sequence: row t is the query, column s how much it takes of step s; each row sums to 1. A panel per head.
 *
 * @example await writeFile('attention.svg', await plotAttention(await inspect(model, x), { tokens: words }));
 */
export function plotAttention(inspection: Inspection, options: PlotAttentionOptions = {}): Promise<string> {
  const where = 'plotAttention';
  const { row = 0, tokens } = options;
  const having = inspection.layers.filter(({ attention }) => attention.length > 0);
  const layer = options.layer === undefined ? having[0] : inspection.layer(options.layer);
  const [weights] = layer?.attention ?? [];
  if (!weights)
    fail(
      'ARGUMENT',
      `${where}: layer`,
      `a layer with attention${having.length ? `: ${having.map(({ path }) => path).join(', ')}` : ''}`,
      options.layer ?? 'a model without one',
    );
  const { shape } = weights;
  const [batch, queries, keyCount] = [shape[0], shape[shape.length - 2], shape[shape.length - 1]];
  const headCount = shape.slice(1, -2).reduce((a, b) => a * b, 1);
  if (!(Number.isInteger(row) && row >= 0 && row < batch))
    fail('ARGUMENT', `${where}: row`, `a row from 0 to ${batch - 1}`, String(row));
  const heads = options.heads ?? Array.from({ length: headCount }, (_, h) => h);
  for (const head of heads)
    if (!(Number.isInteger(head) && head >= 0 && head < headCount))
      fail('ARGUMENT', `${where}: heads`, `heads from 0 to ${headCount - 1}`, String(head));
  const keys = options.keys ?? (tokens?.length === keyCount ? tokens : undefined);
  const labels = (given: readonly string[] | undefined, count: number, what: string): string[] => {
    if (given && given.length !== count)
      fail('SHAPE', `${where}: ${what}`, `${count}, one for every step`, String(given.length));
    return Array.from({ length: count }, (_, t) => given?.[t] ?? String(t));
  };
  const maps = heads.map((head): HeatMap => {
    const at = (t: number, s: number) => weights.data[((row * headCount + head) * queries + t) * keyCount + s];
    const values = Array.from({ length: queries }, (_, t) => Array.from({ length: keyCount }, (_, s) => at(t, s)));
    return {
      title: headCount > 1 ? `head ${head}` : 'weights',
      rowLabels: labels(tokens, queries, 'tokens'),
      columnLabels: labels(keys, keyCount, 'keys'),
      values,
      low: 0,
      high: 1,
      labels: values.map((line) => line.map((v) => v.toFixed(2))),
    };
  });
  const side = Math.min(34, Math.max(12, 480 / keyCount));
  return drawHeatMaps(
    maps,
    {
      where,
      options: ['layer', 'row', 'heads', 'tokens', 'keys'] satisfies (keyof PlotAttentionOptions)[],
      title: `Attention of ${layer.path}`,
      xName: 'looks at',
      yName: 'query',
      named: keys !== undefined,
      cell: { width: side, height: Math.min(side, 22) },
    },
    options,
  );
}

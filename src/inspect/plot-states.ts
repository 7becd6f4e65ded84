/** Hidden states and gates over the tokens of a sequence, as heat maps. */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import type { InspectedLayer, Inspection } from '../train/inspect.ts';
import { drawHeatMaps, type HeatMap } from './heat-map.ts';
import type { PictureOptions } from './picture.ts';

const ownOptions: readonly (keyof PlotStatesOptions)[] = ['layer', 'row', 'tokens', 'units', 'hideMasked'];

export interface PlotStatesOptions extends PictureOptions {
  /** Path of the layer. Default: the first that walks over time. */
  layer?: string;
  /** Row of the batch. Default 0. */
  row?: number;
  /** What stands at every step. Default: the numbers of the steps. */
  tokens?: readonly string[];
  /** Which units, from the top. Default: all. */
  units?: readonly number[];
  /** Leave out masked steps. Default true; else they are grey. */
  hideMasked?: boolean;
}

function layerFor(inspection: Inspection, { layer }: PlotStatesOptions, where: string): InspectedLayer {
  const found = layer === undefined ? inspection.recurrent[0] : inspection.layer(layer);
  if (!found || !Object.keys(found.states).length)
    fail(
      'ARGUMENT',
      `${where}: layer`,
      `a layer that walks over time${inspection.recurrent.length ? `: ${inspection.recurrent.map(({ path }) => path).join(', ')}` : ''}`,
      layer ?? 'a model without one',
    );
  return found;
}

/** One value of a layer for one row. */
function mapOf(
  name: string,
  values: NdArray,
  { mask, ranges }: InspectedLayer,
  options: PlotStatesOptions,
  where: string,
): HeatMap {
  const { row = 0, tokens, hideMasked = true } = options;
  const [batch, length, ...rest] = values.shape;
  const count = rest.reduce((a, b) => a * b, 1);
  if (!(Number.isInteger(row) && row >= 0 && row < batch))
    fail('ARGUMENT', `${where}: row`, `a row from 0 to ${batch - 1}`, String(row));
  if (tokens && tokens.length !== length)
    fail('SHAPE', `${where}: tokens`, `${length}, one for every step`, String(tokens.length), 'Padding counts too.');
  const units = options.units ?? Array.from({ length: count }, (_, u) => u);
  for (const unit of units)
    if (!(Number.isInteger(unit) && unit >= 0 && unit < count))
      fail('ARGUMENT', `${where}: units`, `units from 0 to ${count - 1}`, String(unit));
  const valid = (t: number) => mask?.data[row * length + t] !== 0;
  const steps = Array.from({ length }, (_, t) => t).filter((t) => !hideMasked || valid(t));
  const at = (t: number, unit: number) => values.data[(row * length + t) * count + unit];
  const shown = units.map((unit) => steps.map((t) => (valid(t) ? at(t, unit) : null)));
  const all = shown.flat().filter((v): v is number => v !== null && Number.isFinite(v));
  const most = all.reduce((a, v) => Math.max(a, Math.abs(v)), 0) || 1;
  const range = ranges[name];
  const [low, high] = range ?? (all.every((v) => v >= 0) ? [0, most] : [-most, most]);
  return {
    title: name,
    rowLabels: units.map(String),
    columnLabels: steps.map((t) => tokens?.[t] ?? String(t)),
    values: shown,
    low,
    high,
  };
}

/**
 * The states of a layer over the tokens of one sequence: a column for every step, a row for every unit, a panel for every part of the state.
 *
 * @param inspection what `inspect` gave
 * @example await writeFile('states.svg', await plotStates(await inspect(model, x), { layer: 'lstm', tokens: words }));
 */
export function plotStates(inspection: Inspection, options: PlotStatesOptions = {}): Promise<string> {
  const where = 'plotStates';
  const layer = layerFor(inspection, options, where);
  const maps = Object.entries(layer.states).map(([name, values]) => mapOf(name, values, layer, options, where));
  return drawHeatMaps(
    maps.map((map) => ({ ...map, title: `state ${map.title}` })),
    {
      where,
      options: ownOptions,
      title: `States of ${layer.path}`,
      xName: options.tokens ? 'token' : 'step',
      yName: 'unit',
      named: !!options.tokens,
    },
    options,
  );
}

/**
 * The gates of a layer over the tokens of one sequence, a panel for each. Throws ARGUMENT for a layer whose cell names no gates.
 *
 * @example console.log(await plotGates(inspection, { layer: 'lstm', tokens: words, format: 'terminal' }));
 */
export function plotGates(inspection: Inspection, options: PlotStatesOptions = {}): Promise<string> {
  const where = 'plotGates';
  const layer = layerFor(inspection, options, where);
  if (!Object.keys(layer.gates).length)
    fail(
      'ARGUMENT',
      `${where}: layer`,
      'a cell that names its gates',
      `${layer.path}, of ${layer.className}`,
      "A step of one's own returns them: `{ output, state, gates: { forget } }`.",
    );
  const maps = Object.entries(layer.gates).map(([name, values]) => mapOf(name, values, layer, options, where));
  return drawHeatMaps(
    maps.map((map) => ({ ...map, title: `gate ${map.title}` })),
    {
      where,
      options: ownOptions,
      title: `Gates of ${layer.path}`,
      xName: options.tokens ? 'token' : 'step',
      yName: 'unit',
      named: !!options.tokens,
    },
    options,
  );
}

/** Which class was taken for which, as a heat map with counts. */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { drawHeatMaps } from './heat-map.ts';
import type { PictureOptions } from './picture.ts';

export interface PlotConfusionOptions extends PictureOptions {
  /** Names of the classes. Default: their numbers. */
  classes?: readonly string[];
}

/** Class numbers, or the largest of a row of probabilities; one probability is that of class 1. */
function classesOf(given: unknown, where: string): number[] {
  const array = given instanceof NdArray ? given : NdArray.from(given as never);
  const [count, size] = array.shape;
  if (array.rank === 1 || (array.rank === 2 && size === 1)) {
    const whole = array.data.every((v: number) => Number.isInteger(v));
    return Array.from(array.data, (v) => (whole ? v : v > 0.5 ? 1 : 0));
  }
  if (array.rank !== 2) fail('SHAPE', where, 'classes (N), or probabilities (N, classes)', `${array.rank} axes`);
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(array.data.slice(i * size, (i + 1) * size));
    return row.indexOf(Math.max(...row));
  });
}

/**
 * The confusion matrix: a row for what is true, a column for what was predicted, the count in the cell, the colour its share of the row.
 *
 * @param truth class numbers (N), or one-hot (N, classes)
 * @param predicted the same, or what `predict` gives: probabilities (N, classes), or (N, 1) of class 1
 * @example await plotConfusion(labels, await model.predict(x), { classes: ['bad', 'good'] });
 */
export function plotConfusion(truth: unknown, predicted: unknown, options: PlotConfusionOptions = {}): Promise<string> {
  const where = 'plotConfusion';
  const [a, b] = [classesOf(truth, `${where}: truth`), classesOf(predicted, `${where}: predicted`)];
  if (!a.length || a.length !== b.length)
    fail('SHAPE', where, 'as many predictions as truths, at least one', `${b.length} and ${a.length}`);
  for (const k of [...a, ...b])
    if (!(Number.isInteger(k) && k >= 0)) fail('DATA', where, 'class numbers from 0 on', String(k));
  const count = options.classes?.length ?? Math.max(...a, ...b) + 1;
  if (Math.max(...a, ...b) >= count)
    fail('ARGUMENT', `${where}: classes`, `a name for each of ${Math.max(...a, ...b) + 1} classes`, String(count));
  const counts = Array.from({ length: count }, () => new Array<number>(count).fill(0));
  a.forEach((k, i) => {
    counts[k][b[i]]++;
  });
  const names = Array.from({ length: count }, (_, k) => options.classes?.[k] ?? String(k));
  const right = a.filter((k, i) => k === b[i]).length;
  const rows = counts.map((row) =>
    Math.max(
      1,
      row.reduce((s, v) => s + v, 0),
    ),
  );
  const shares = counts.map((row, k) => row.map((v) => v / rows[k]));
  const side = Math.min(64, Math.max(24, 480 / count));
  return drawHeatMaps(
    [
      {
        title: `${right} of ${a.length} right (${((100 * right) / a.length).toFixed(1)}%)`,
        rowLabels: names.map((name, k) => `${name} (${counts[k].reduce((s, v) => s + v, 0)})`),
        columnLabels: names,
        values: shares,
        low: 0,
        high: 1,
        labels: counts.map((line) => line.map(String)),
      },
    ],
    {
      where,
      options: ['classes'] satisfies (keyof PlotConfusionOptions)[],
      title: 'Confusion',
      xName: 'predicted',
      yName: 'true',
      named: true,
      cell: { width: side, height: Math.max(20, side * 0.7) },
    },
    options,
  );
}

/** Heat maps side by side or one below the other, as SVG or text. */
import { drawSvg, formatOf, type PictureOptions, scales, titleOf, usesColor } from './picture.ts';
import { textHeatMap } from './terminal.ts';

export interface HeatMap {
  readonly title: string;
  /** From the top. */
  readonly rowLabels: readonly string[];
  readonly columnLabels: readonly string[];
  /** rows x columns; null: not there, such as a masked step. */
  readonly values: readonly (readonly (number | null)[])[];
  readonly low: number;
  readonly high: number;
  /** What is written into the cells where there is room, rows x columns. Default: nothing. */
  readonly labels?: readonly (readonly string[])[];
}

export interface HeatMapStyle {
  readonly where: string;
  /** Names of options that the picture has beside those of all. */
  readonly options: readonly string[];
  readonly title: string;
  readonly xName: string;
  readonly yName: string;
  /** Whether the columns have names that must all be read. */
  readonly named: boolean;
  /** Size of a cell in pixels; default by their number. */
  readonly cell?: { readonly width: number; readonly height: number };
}

const clamp = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x));

/** Draws the maps one below the other. */
export async function drawHeatMaps(
  maps: readonly HeatMap[],
  style: HeatMapStyle,
  options: PictureOptions,
): Promise<string> {
  const { title = style.title, subtitle = '' } = options;
  if (formatOf(options, style.where, style.options) === 'terminal') {
    const color = usesColor(options);
    const head = [title, subtitle].filter(Boolean).join('\n');
    return [head, ...maps.map((map) => textHeatMap(map, color))].join('\n\n');
  }
  const rows = Math.max(...maps.map((map) => map.rowLabels.length));
  const columns = Math.max(...maps.map((map) => map.columnLabels.length));
  const longest = Math.max(...maps.flatMap((map) => map.columnLabels.map((label) => label.length)), 1);
  const longestRow = Math.max(...maps.flatMap((map) => map.rowLabels.map((label) => label.length)), 1);
  const cell = style.cell ?? {
    width: style.named ? clamp(760 / columns, 18, 46) : clamp(760 / columns, 3, 30),
    height: clamp(320 / rows, 4, 22),
  };
  const turned = style.named && longest * 7 > cell.width - 4;
  const left = Math.max(70, 34 + longestRow * 7);
  const below = turned ? 34 + Math.min(120, longest * 6) : 46;
  const [width, height] = [Math.max(420, left + columns * cell.width + 110), rows * cell.height];
  const top = subtitle ? 92 : 76;
  const panel = height + below + 34;
  const svgHeight = top + maps.length * panel - 20;
  const tops = maps.map((_, i) => top + i * panel);
  const xAxis = maps.map((map, gridIndex) => ({
    gridIndex,
    type: 'category' as const,
    data: [...map.columnLabels],
    name: style.xName,
    nameLocation: 'middle' as const,
    nameGap: below - 18,
    axisTick: { show: false },
    axisLabel: { ...(style.named && { interval: 0 }), rotate: turned ? 60 : 0, fontSize: 11, color: '#222' },
  }));
  const yAxis = maps.map((map, gridIndex) => ({
    gridIndex,
    type: 'category' as const,
    inverse: true,
    data: [...map.rowLabels],
    name: style.yName,
    nameLocation: 'middle' as const,
    nameGap: left - 24,
    axisTick: { show: false },
    axisLabel: { fontSize: 11, color: '#222' },
  }));
  return drawSvg(
    {
      title: [
        titleOf(title, subtitle, 16),
        ...maps.map((map, i) => ({
          text: map.title,
          left,
          top: tops[i] - 24,
          textStyle: { fontSize: 13, fontWeight: 'bold' as const, color: '#222' },
        })),
      ],
      grid: maps.map((_, i) => ({
        left,
        top: tops[i],
        width: columns * cell.width,
        height,
        show: true,
        // Behind what is not there.
        backgroundColor: '#d9d9d9',
        borderWidth: 0,
      })),
      xAxis,
      yAxis,
      visualMap: maps.map((map, i) => ({
        type: 'continuous' as const,
        seriesIndex: i,
        min: map.low,
        max: map.high,
        calculable: false,
        orient: 'vertical' as const,
        right: 12,
        top: tops[i],
        itemHeight: Math.min(110, height - 30),
        itemWidth: 12,
        precision: map.high - map.low < 10 ? 2 : 0,
        text: [String(Number(map.high.toPrecision(2))), String(Number(map.low.toPrecision(2)))],
        textStyle: { fontSize: 11 },
        inRange: { color: [...(map.low < 0 ? scales.diverging : scales.sequential)] },
      })),
      series: maps.map((map, i) => ({
        type: 'heatmap' as const,
        xAxisIndex: i,
        yAxisIndex: i,
        data: map.values.flatMap((row, y) =>
          row.flatMap((value, x) => {
            if (value === null || !Number.isFinite(value)) return [];
            const middle = (map.low + map.high) / 2;
            const dark = map.low < 0 ? Math.abs(value - middle) > (map.high - middle) * 0.7 : value > middle;
            const label = map.labels && { formatter: map.labels[y][x], color: dark ? '#ffffff' : '#222222' };
            return [{ value: [x, y, value], ...(label && { label }) }];
          }),
        ),
        ...(map.labels && { label: { show: cell.width >= 30 && cell.height >= 18, fontSize: 11 } }),
        itemStyle: cell.width > 12 && cell.height > 8 ? { borderColor: '#ffffff', borderWidth: 1 } : {},
      })),
    } as Parameters<typeof drawSvg>[0],
    width,
    svgHeight,
  );
}

/** What all pictures share: their style, echarts on the server side (loaded at the first call, no browser), and checks of what they draw. */
import type { EChartsOption } from 'echarts';
import { fail } from '../core/errors.ts';
import { refuseUnknown } from '../train/model-options.ts';

export interface PictureOptions {
  /** Stands above the picture. */
  title?: string;
  /** Stands below the title, smaller: data, model, result. */
  subtitle?: string;
  /** `svg`; or `terminal`: lines of text. Default `svg`. */
  format?: 'svg' | 'terminal';
  /** For `terminal`: colours as escape sequences. Default: where the output is a terminal and NO_COLOR is not set. */
  color?: boolean;
}

/** Hues that stay apart for colour-blind eyes: Okabe and Ito, "Color universal design" (2008), without the yellow. */
export const hues = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#444444'] as const;

/** Dashes beside the hues, so that lines are told apart in grey print too. */
export const dashes: readonly ('solid' | 'dashed' | 'dotted' | number[])[] = [
  'solid',
  'dashed',
  'dotted',
  [8, 3, 2, 3],
];

/** From low to high around zero, and from nothing to much. Both are ordered by lightness and keep their order for colour-blind eyes. */
export const scales = {
  diverging: ['#08519c', '#6baed6', '#f7f7f7', '#fd8d3c', '#a63603'],
  sequential: ['#f7fbff', '#c6dbef', '#6baed6', '#2171b5', '#08306b'],
} as const;

export const textStyle = { fontFamily: 'Helvetica, Arial, sans-serif', color: '#222' };

/** Title and subtitle at the left. */
export function titleOf(text: string, subtext: string, left: number) {
  return {
    text,
    subtext,
    left,
    top: 10,
    textStyle: { fontSize: 18 },
    subtextStyle: { fontSize: 12, color: '#555' },
  };
}

/** Draws as SVG. */
export async function drawSvg(option: EChartsOption, width: number, height: number): Promise<string> {
  const { init } = await import('echarts');
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

const shared: readonly (keyof PictureOptions)[] = ['title', 'subtitle', 'format', 'color'];

/** Throws ARGUMENT for a format that there is not, and for options that the picture does not have. @param own its options beside the shared ones */
export function formatOf(options: PictureOptions, where: string, own: readonly string[] = []): 'svg' | 'terminal' {
  refuseUnknown(options, [...shared, ...own], where);
  const { format = 'svg' } = options;
  if (format !== 'svg' && format !== 'terminal')
    fail(
      'ARGUMENT',
      `${where}: format`,
      "'svg' or 'terminal'",
      `'${String(format)}'`,
      'For PNG, give the SVG to `renderPng`.',
    );
  return format;
}

/** Whether text may have colours. */
export function usesColor({ color }: PictureOptions): boolean {
  const process = (
    globalThis as { process?: { stdout?: { isTTY?: boolean }; env?: Record<string, string | undefined> } }
  ).process;
  return color ?? (process?.stdout?.isTTY === true && !process.env?.NO_COLOR);
}

/** A power of ten for an axis: `1e-5`, `0.01`, `1`. */
export function powerOfTen(value: number): string {
  const exponent = Math.round(Math.log10(value));
  return exponent >= -2 && exponent <= 2 ? String(Number((10 ** exponent).toPrecision(1))) : `1e${exponent}`;
}

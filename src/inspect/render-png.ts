/** PNG from the SVG of the plot functions, by resvg, a package that is installed beside this one by those who want it. */
import { fail, UnrolledError } from '../core/errors.ts';

export interface PngOptions {
  /** Pixels for each of the SVG. Default 2. */
  readonly scale?: number;
  /** Default white; `transparent` for none. */
  readonly background?: string;
  /** Font files to write with, beside those of the system. */
  readonly fontFiles?: readonly string[];
  /** Whether fonts of the system are used. Default true. */
  readonly systemFonts?: boolean;
  /** The family to write with where the SVG's (Helvetica, Arial) is not there. Default: any that is there. */
  readonly fontFamily?: string;
}

type Resvg = typeof import('@resvg/resvg-js');

async function resvg(): Promise<Resvg> {
  try {
    return await import('@resvg/resvg-js');
  } catch (cause) {
    throw new UnrolledError(
      'UNSUPPORTED',
      'renderPng: expected the package @resvg/resvg-js, received none. Run `npm install @resvg/resvg-js`; SVG needs nothing.',
      { cause },
    );
  }
}

/**
 * Renders an SVG as PNG. Needs the package `@resvg/resvg-js` and fonts: those of the system, or `fontFiles`. Throws UNSUPPORTED where the
 * package is not installed, and IO where there is no font, instead of a picture without letters.
 *
 * @param svg of `plotHistory`, `plotStates`, and so on
 * @example await writeFile('states.png', await renderPng(await plotStates(inspection)));
 */
export async function renderPng(svg: string, options: PngOptions = {}): Promise<Uint8Array> {
  const { scale = 2, background = 'white', fontFiles = [], systemFonts = true, fontFamily } = options;
  if (typeof svg !== 'string' || !/<svg[\s>]/.test(svg))
    fail('ARGUMENT', 'renderPng', 'an SVG as text', 'something else');
  if (!(scale > 0 && Number.isFinite(scale))) fail('ARGUMENT', 'renderPng: scale', 'a positive number', String(scale));
  const { Resvg } = await resvg();
  const font = {
    loadSystemFonts: systemFonts,
    fontFiles: [...fontFiles],
    ...(fontFamily && { defaultFontFamily: fontFamily, sansSerifFamily: fontFamily }),
  };
  const render = (text: string) =>
    new Resvg(text, {
      fitTo: { mode: 'zoom', value: scale },
      font,
      ...(background !== 'transparent' && { background }),
    });
  if (/<text[\s>]/.test(svg)) {
    // resvg leaves letters out without a word where it finds no font: so a single one is tried first.
    const letter = `<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text x="2" y="16" font-size="16" font-family="sans-serif">X</text></svg>`;
    if (!render(letter).innerBBox())
      fail(
        'IO',
        'renderPng',
        'a font to write with',
        systemFonts ? 'none on this system' : 'no font file',
        'Install one (fonts-dejavu-core on Debian), or name it: `fontFiles: [...]`. SVG needs none.',
      );
  }
  return render(svg).render().asPng();
}

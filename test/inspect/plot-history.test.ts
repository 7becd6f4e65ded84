import { describe, expect, it } from 'vitest';
import { plotHistory } from '../../src/inspect/plot-history.ts';
import { History } from '../../src/train/history.ts';

const curves = {
  loss: [0.7, 0.5, 0.3],
  accuracy: [0.5, 0.7, 0.9],
  val_loss: [0.7, 0.6, 0.65],
  val_accuracy: [0.5, 0.7, 0.68],
};

/** Paths of the curves themselves, by their colour. */
function linesOf(svg: string, colour: string): string[] {
  return [...svg.matchAll(/<path d="([^"]*)"[^>]*stroke="(#[0-9a-f]{6})"[^>]*stroke-width="2"/g)]
    .filter((m) => m[2] === colour)
    .map((m) => m[1]);
}

describe('plotHistory', () => {
  it('draws a panel for loss and one for accuracy, training and validation in each', async () => {
    const svg = await plotHistory(curves, { title: 'Reviews', subtitle: '1,000 of them' });
    expect(svg).toMatch(/^<svg width="920" height="420"/);
    for (const word of ['Reviews', '1,000 of them', 'Loss', 'Accuracy', 'training', 'validation', 'epoch'])
      expect(svg).toContain(`>${word}<`);
    // the legend draws one line of each colour too
    expect(linesOf(svg, '#1f6fb2').length).toBe(3);
    expect(linesOf(svg, '#d1600a').length).toBeGreaterThanOrEqual(3);
    // the smallest validation loss and the largest validation accuracy are named
    expect(svg).toContain('>0.600<');
    expect(svg).toContain('>0.700<');
  });

  it('draws training alone, one epoch, and values that are not finite', async () => {
    const svg = await plotHistory({ loss: [Number.NaN], mae: [1] });
    expect(svg).toContain('>Loss<');
    expect(svg).not.toContain('NaN');
  });

  it('draws what fit returns, every value at its epoch, also where not every epoch was validated', async () => {
    const history = new History();
    for (const [epoch, loss] of [4, 3, 2, 1].entries())
      history.add(epoch + 2, { loss, ...(epoch % 2 && { val_loss: loss + 0.5 }) });
    const saved = new History();
    saved.restore(JSON.parse(JSON.stringify(history)));
    const places = (text: string) =>
      text.split('\n').flatMap((row) => (/┤.*○/.test(row) ? [row.indexOf('○') - row.indexOf('┤') - 1] : []));
    for (const given of [history, saved]) {
      const text = await plotHistory(given, { format: 'terminal', color: false });
      // Epochs 3 to 6 over 60 columns; validated after 4 and 6.
      expect(places(text)).toEqual([20, 59]);
      expect(text).toMatch(/\n +3 +epoch +6$/);
    }
    const plain = await plotHistory(history.history, { format: 'terminal', color: false });
    expect(places(plain)).toEqual([20, 59]);
    expect(await plotHistory(history)).toContain('>1.50<');
  });

  it('marks the smallest value of a metric that is a loss', async () => {
    const values = [0.4, 0.9];
    for (const name of ['binaryCrossentropy', 'kl_divergence', 'hinge', 'perplexity', 'logCoshError'])
      expect(await plotHistory({ loss: [1, 1], [name]: values, [`val_${name}`]: values })).toContain('>0.400<');
    expect(await plotHistory({ loss: [1, 1], auc: values, val_auc: values })).toContain('>0.900<');
  });

  it('refuses what is no history', async () => {
    await expect(plotHistory({ loss: 3 } as never)).rejects.toThrow(
      'plotHistory: loss: expected a list of numbers, received number. Give it what `fit` returns.',
    );
    await expect(plotHistory(undefined as never)).rejects.toThrow(/at least one finished epoch/);
  });

  it('refuses a history without epochs', async () => {
    await expect(plotHistory({})).rejects.toThrow('plotHistory: expected at least one finished epoch, received none');
  });

  it('refuses options that it does not have', async () => {
    await expect(plotHistory({ loss: [1] }, { panelwidth: 3 } as never)).rejects.toThrow(
      /plotHistory: expected options among title, .*received 'panelwidth'. Did you mean 'panelWidth'/,
    );
  });
});

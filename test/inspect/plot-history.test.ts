import { describe, expect, it } from 'vitest';
import { plotHistory } from '../../src/inspect/plot-history.ts';

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

  it('refuses a history without epochs', async () => {
    await expect(plotHistory({})).rejects.toThrow('plotHistory: expected at least one finished epoch, received none');
  });

  it('refuses options that it does not have', async () => {
    await expect(plotHistory({ loss: [1] }, { panelwidth: 3 } as never)).rejects.toThrow(
      /plotHistory: expected options among title, .*received 'panelwidth'. Did you mean 'panelWidth'/,
    );
  });
});

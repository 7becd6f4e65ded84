import { describe, expect, it } from 'vitest';
import { stratifiedSplit } from '../../src/data/split.ts';

describe('stratifiedSplit', () => {
  const labels = Array.from({ length: 100 }, (_, i) => (i < 80 ? 0 : 1));

  it('holds out the same share of every class, every row once', () => {
    const { train, heldOut } = stratifiedSplit(labels, 0.25, 3);
    expect(heldOut.filter((i) => labels[i] === 0).length).toBe(20);
    expect(heldOut.filter((i) => labels[i] === 1).length).toBe(5);
    expect([...train, ...heldOut].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i));
  });

  it('is the same for the same seed and another for another, and mixes the classes', () => {
    expect(stratifiedSplit(labels, 0.25, 3)).toEqual(stratifiedSplit(labels, 0.25, 3));
    const other = stratifiedSplit(labels, 0.25, 4);
    expect(other.heldOut).not.toEqual(stratifiedSplit(labels, 0.25, 3).heldOut);
    expect(other.train.slice(0, 40).some((i) => labels[i] === 1)).toBe(true);
  });

  it('never takes the only row of a class away', () => {
    expect(stratifiedSplit([0, 1, 1, 1, 1], 0.5, 1).train).toContain(0);
  });

  it('refuses a share that leaves nothing', () => {
    expect(() => stratifiedSplit(labels, 1, 0)).toThrow('a share between 0 and 1, received 1');
  });
});

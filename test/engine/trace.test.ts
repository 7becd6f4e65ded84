import { expect, it } from 'vitest';
import { traceStep } from '../../src/engine/1-trace.ts';
import type { Tensor } from '../../src/ops/tensor.ts';

it('refuses a result that belongs to the graph of another step', () => {
  const leaf = () => ({ type: { dtype: 'f32', shape: [2] } as const, groups: 1 });
  let stranger: Tensor | null = null;
  traceStep('one', leaf, (b) => {
    stranger = b.input('x', [2]);
    return { outputs: { y: stranger } };
  });
  const other = () => ({ outputs: { y: stranger as unknown as Tensor } });
  expect(() => traceStep('other', leaf, other)).toThrow(/other: y: expected a tensor of the graph of the step/);
  const writes = () => ({ outputs: {}, updates: { w: stranger as unknown as Tensor } });
  expect(() => traceStep('other', leaf, writes)).toThrow(/other: w/);
});

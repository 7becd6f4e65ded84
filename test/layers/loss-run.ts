/** Runs a loss on its own: the value and the gradient of the prediction. */
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { type Loss, totalLoss } from '../../src/layers/losses/loss.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { constant } from '../../src/ops/tensor.ts';
import type { Machine } from '../../src/vm/vm.ts';

export type Nested = number | Nested[];
export const flat = (x: Nested): number[] => (typeof x === 'number' ? [x] : x.flatMap(flat));
export const shapeOf = (x: Nested): number[] => (typeof x === 'number' ? [] : [x.length, ...shapeOf(x[0])]);

export interface LossFeed {
  readonly y: Nested;
  readonly p: Nested;
  readonly mask?: number[][] | null;
  readonly weight?: Nested | null;
}

/** A function of float inputs: what it gives, and the gradients of the sum of its first result. */
export async function runGraph(
  machine: Machine,
  inputs: Readonly<Record<string, Nested>>,
  indices: Readonly<Record<string, Nested>>,
  trace: (tensors: Readonly<Record<string, Tensor>>) => Readonly<Record<string, Tensor>>,
): Promise<{ results: Record<string, number[]>; gradients: Record<string, number[]> }> {
  const space = new StateSpace(machine);
  const names = Object.keys(inputs);
  const step = compileStep(space, 'test', (b) => {
    const tensors: Record<string, Tensor> = {};
    for (const name of names) tensors[name] = b.input(name, shapeOf(inputs[name]));
    for (const name of Object.keys(indices)) tensors[name] = b.input(name, shapeOf(indices[name]), 'i32');
    const outputs = trace(tensors);
    const [first] = Object.values(outputs);
    const ones = constant(b.graph, new Array(first.shape.reduce((n, d) => n * d, 1)).fill(1), first.shape);
    const found = gradients(
      [first],
      [ones],
      names.map((name) => tensors[name]),
    );
    const own = Object.fromEntries(found.flatMap((g, i) => (g ? [[`gradient/${names[i]}`, g]] : [])));
    return { outputs: { ...outputs, ...own } };
  });
  const feed = Object.fromEntries(
    [...Object.entries(inputs), ...Object.entries(indices)].map(([k, v]) => [k, flat(v)]),
  );
  const [result] = await step.run([feed]);
  const all = Object.entries(result).map(([key, data]) => [key, Array.from(data as ArrayLike<number>)] as const);
  return {
    results: Object.fromEntries(all.filter(([key]) => !key.startsWith('gradient/'))),
    gradients: Object.fromEntries(
      all.filter(([key]) => key.startsWith('gradient/')).map(([key, data]) => [key.slice('gradient/'.length), data]),
    ),
  };
}

export async function runLoss(machine: Machine, loss: Loss, { y, p, mask, weight }: LossFeed) {
  const indices = loss.targets === 'indices';
  const { results, gradients: found } = await runGraph(
    machine,
    { p, ...(indices ? {} : { y }), ...(mask && { mask }), ...(weight != null && { weight }) },
    indices ? { y } : {},
    (t) => ({
      total: totalLoss(loss, t.y, t.p, t.weight ?? null, { mask: t.mask ?? null, beside: {}, training: true }),
    }),
  );
  return { total: results.total[0], gradient: found.p };
}

/** Looking at what a function on tensors returns, before it is written into a graph. */
import type { Shape } from '../core/shape.ts';
import { Graph } from '../ir/graph.ts';
import { Tensor } from './tensor.ts';

/**
 * Calls a function with stand-ins of given types on a graph that is thrown away. What it returns may be compared and measured, not used.
 *
 * @param like tensors whose types and path are taken
 * @param drop leading axes that the stand-in at this index does not have
 */
export function probe<R>(like: readonly Tensor[], drop: (index: number) => number, look: (standIns: Tensor[]) => R): R {
  const graph = new Graph('probe');
  graph.path = like[0].graph.path;
  return look(
    like.map((t, i) => new Tensor(graph, graph.input(`like${i}`, { dtype: t.dtype, shape: t.shape.slice(drop(i)) }))),
  );
}

/** Tensors of given shapes on a graph that is thrown away. */
export function standIns(shapes: readonly Shape[], path: string, types: readonly Tensor['dtype'][] = []): Tensor[] {
  const graph = new Graph('probe');
  graph.path = path;
  return shapes.map((shape, i) => new Tensor(graph, graph.input(`like${i}`, { dtype: types[i] ?? 'f32', shape })));
}

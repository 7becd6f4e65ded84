/** A step on the oracle: the traced graph is walked in float64 as it is, before any rewriting. */
import { printGraph } from '../ir/graph.ts';
import type { Dense } from '../ops/op.ts';
import type { Trace } from './1-trace.ts';
import { evaluateGraph } from './oracle.ts';
import type { StateSpace } from './state.ts';
import { type CompiledStep, type Feed, gathered, type Result } from './step.ts';

export function exactStep(space: StateSpace, traced: Trace): CompiledStep {
  const { graph, states, inputs, outputs, updates } = traced;
  const one = (feed: Feed): Result => {
    const given = new Map<(typeof graph.inputs)[number], Dense>();
    for (const [key, value] of states)
      given.set(value, { shape: value.type.shape, data: space.get(key) as Float64Array });
    for (const [key, value] of inputs)
      given.set(value, { shape: value.type.shape, data: Float64Array.from(gathered(feed[key])) });
    const values = evaluateGraph(graph, given);
    const result: Result = {};
    const dataOf = (i: number) => (values.get(graph.outputs[i]) as Dense).data;
    outputs.forEach((key, i) => {
      result[key] = Float64Array.from(dataOf(i));
    });
    const fresh = updates.map((_, i) => dataOf(outputs.length + i));
    updates.forEach((key, i) => space.set(key, fresh[i]));
    return result;
  };
  const run = async (feeds: readonly Feed[]) => {
    const results: Result[] = [];
    for (const feed of feeds) {
      results.push(one(feed));
      // The walk is slow and on the main thread: let other work of the process in between steps.
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    return results;
  };
  return {
    plan: { arenaBytes: 0, stateBytes: space.floats * 8, ioBytes: 0, flops: 0 },
    run,
    stage: (feeds) => ({
      run: async (late = [], into) => {
        const results = await run(feeds.map((feed, i) => ({ ...feed, ...late[i] })));
        results.forEach((result, i) => {
          for (const name of outputs) {
            const place = into?.(i, name, 'float64');
            if (!place) continue;
            const { data, size, first, rows } = place;
            for (let r = 0; r * size < result[name].length; r++)
              data.set(result[name].subarray(r * size, (r + 1) * size), (rows ? rows[r] : first + r) * size);
            delete result[name];
          }
        });
        return results;
      },
      discard: () => undefined,
    }),
    runSync: (feeds) => feeds.map(one),
    explain: () => printGraph(graph),
  };
}

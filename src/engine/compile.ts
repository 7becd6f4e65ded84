/** The order of the phases, and the step that comes out of them. */
import { fail } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import { type StepBuilder, type TracedStep, traceStep } from './1-trace.ts';
import { exactStep } from './exact-step.ts';
import { machineStep } from './machine-step.ts';
import type { StateSpace } from './state.ts';
import { type CompiledStep, type CompileOptions, type Feed, feedLength, type StagedFeeds } from './step.ts';
import { verified } from './verification.ts';

export type { StepBuilder, TracedStep } from './1-trace.ts';
export type {
  CompiledStep,
  CompileOptions,
  Destination,
  Destinations,
  Feed,
  FeedValue,
  Plan,
  Result,
  ResultType,
  StagedFeeds,
} from './step.ts';

/**
 * Traces a function on handles and compiles it for the machine of the state space.
 *
 * @example
 * const step = compileStep(space, 'double', (b) => ({ outputs: { y: mul(b.input('x', [2, 3]), 2) } }));
 * const [{ y }] = await step.run([{ x: [1, 2, 3, 4, 5, 6] }]);
 */
export function compileStep(
  space: StateSpace,
  name: string,
  trace: (builder: StepBuilder) => TracedStep,
  options: CompileOptions = {},
): CompiledStep {
  const leafOf = (key: string) => {
    const leaf = space.leaf(key);
    return { type: leaf.type, groups: leaf.layout.groups };
  };
  const traceOnce = () => traceStep(name, leafOf, trace, options.precision);
  const traced = traceOnce();
  verified(traced.graph);
  const step = space.isExact ? exactStep(space, traced) : machineStep(space, traced, options, traceOnce);
  const sizes = [...traced.inputs].map(([key, { type }]) => [key, sizeOf(type.shape)] as const);
  const checked = (feeds: readonly Feed[]) => {
    for (const feed of feeds) checkFeed(name, sizes, feed);
    return feeds;
  };
  const stage = (feeds: readonly Feed[]): StagedFeeds => {
    const staged = step.stage(feeds);
    return {
      run: async (late = [], into) => {
        feeds.forEach((feed, i) => checkFeed(name, sizes, feed, late[i]));
        return staged.run(late, into);
      },
      discard: () => staged.discard(),
    };
  };
  return {
    plan: step.plan,
    run: async (feeds) => (feeds.length ? step.run(checked(feeds)) : []),
    stage,
    runSync: (feeds) => (feeds.length ? step.runSync(checked(feeds)) : []),
    explain: () => step.explain(),
  };
}

function checkFeed(
  name: string,
  sizes: readonly (readonly [key: string, size: number])[],
  feed: Feed,
  late?: Feed,
): void {
  for (const [key, size] of sizes) {
    const given = late?.[key] ?? feed[key];
    const length = given === undefined ? undefined : feedLength(given);
    if (length !== size)
      fail('ARGUMENT', `${name}: input ${key}`, `${size} values`, length === undefined ? 'none' : String(length));
  }
}

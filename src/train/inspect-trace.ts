/**
 * The step of a model with everything that can be looked at among its results: states and gates of every walk over time, outputs of every
 * layer, weights of attention, and, with a loss, the gradients of all of them. What `inspect` and the anomaly report read.
 */
import type { Shape } from '../core/shape.ts';
import type { StepBuilder, TracedStep } from '../engine/compile.ts';
import { gradients } from '../engine/gradients.ts';
import { observe } from '../layers/observer.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import type { Objective } from './compilation.ts';
import type { InTimePlan } from './in-time.ts';
import type { Network } from './network.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { type BatchShapes, forward, measure, trainingPoint } from './steps.ts';
import { windowObjective } from './windows.ts';

/** A value among the results of the step. */
export interface Found {
  readonly key: string;
  readonly shape: Shape;
  /** `h`, `forget`, `output`, `kernel`. */
  readonly name: string;
  /** The key of its gradient; null: nothing flows to it, or there is no loss. */
  readonly gradient: string | null;
  /** Whether the gradient has time before the batch. */
  readonly timeFirst?: boolean;
  readonly range?: readonly [low: number, high: number] | null;
}

/** A part of the model in the order in which it is computed: a walk over time, or the call of a layer. */
export interface FoundPart {
  readonly kind: 'walk' | 'call';
  /** `encoder/lstm`; a second call of a layer is `lstm#2`. */
  readonly path: string;
  readonly className: string;
  /** (B, T); null: none. */
  readonly mask: Found | null;
  readonly goBackwards: boolean;
  readonly states: readonly Found[];
  readonly gates: readonly Found[];
  readonly outputs: readonly Found[];
  readonly attention: readonly Found[];
}

export interface Look {
  readonly parts: readonly FoundPart[];
  /** Loss before it is reduced, per output. */
  readonly losses: readonly Found[];
  /** Weights by path, with the keys of their gradients. */
  readonly weights: readonly (Found & { readonly trainable: boolean })[];
  readonly hasLoss: boolean;
}

export interface LookOptions {
  readonly network: Network;
  readonly shapes: BatchShapes;
  readonly training: boolean;
  /** null: no loss, no gradients. */
  readonly objective: Objective | null;
  /** Whose gradients are taken beside the weights, where they are; null: at the weights. */
  readonly optimizer: Optimizer | null;
  readonly windows?: InTimePlan | null;
  /** Whether a part is looked at, by its path. Default all. */
  readonly wants?: (path: string) => boolean;
}

/** Traces the step. @param tell receives what will be found under which key */
export function traceLook(options: LookOptions, tell: (look: Look) => void) {
  const { network, shapes, training, objective, optimizer, windows = null, wants = () => true } = options;
  return (b: StepBuilder): TracedStep => {
    const results: Record<string, Tensor> = {};
    const parts: FoundPart[] = [];
    const attention: { path: string; weights: Tensor }[] = [];
    const times = new Map<string, number>();
    // What a gradient is asked of, and where it goes.
    const asked: { of: Tensor; key: string }[] = [];
    const put = (key: string, name: string, tensor: Tensor, more: Partial<Found> = {}): Found => {
      results[key] = tensor;
      return { key, shape: tensor.shape, name, gradient: null, ...more };
    };
    const ask = (key: string, of: Tensor) => {
      asked.push({ of, key });
      return key;
    };
    const numbered = (kind: string, path: string) => {
      const id = `${kind} ${path}`;
      const time = (times.get(id) ?? 0) + 1;
      times.set(id, time);
      return time > 1 ? `${path}#${time}` : path;
    };
    const maskOf = (key: string, mask: Tensor | null | undefined) => (mask ? put(key, 'mask', mask) : null);
    observe(b.graph, {
      nudges: objective !== null,
      attention: (path, weights) => void attention.push({ path, weights }),
      walk(walk) {
        const path = numbered('walk', walk.path);
        if (!wants(path)) return;
        const key = `part${parts.length}`;
        parts.push({
          kind: 'walk',
          path,
          className: walk.className,
          goBackwards: walk.goBackwards,
          mask: maskOf(`${key}/mask`, walk.mask),
          states: walk.states.map(({ name, values, range }, i) =>
            put(`${key}/state${i}`, name, values, {
              range,
              timeFirst: true,
              gradient: walk.nudges ? ask(`${key}/state${i}/gradient`, walk.nudges[i]) : null,
            }),
          ),
          gates: walk.gates.map(({ name, values, range }, i) => put(`${key}/gate${i}`, name, values, { range })),
          outputs: [],
          attention: [],
        });
      },
      call(call) {
        const path = numbered('call', call.path);
        const own = attention.splice(0);
        if (!wants(path)) return;
        const key = `part${parts.length}`;
        parts.push({
          kind: 'call',
          path,
          className: call.className,
          goBackwards: false,
          mask: maskOf(
            `${key}/mask`,
            call.masks.find((mask) => mask !== null),
          ),
          states: [],
          gates: [],
          outputs: call.outputs.flatMap((y, i) =>
            y.dtype === 'f32'
              ? [
                  put(`${key}/output${i}`, i ? `output ${i}` : 'output', y, {
                    gradient: objective ? ask(`${key}/output${i}/gradient`, y) : null,
                  }),
                ]
              : [],
          ),
          attention: own.map(({ weights }, i) => put(`${key}/attention${i}`, 'attention', weights)),
        });
      },
    });
    const trained = network.weights.filter(({ trainable }) => trainable);
    const point = (path: string) => {
      const weight = optimizer?.point && trained.find((one) => one.path === path);
      return optimizer && weight ? trainingPoint(b, optimizer, weight) : null;
    };
    const traced = forward(b, network, shapes, training, point, windows);
    const losses: Found[] = [];
    const weights: (Found & { readonly trainable: boolean })[] = [];
    if (objective) {
      const measured = shapes.window ? windowObjective(objective, shapes.window) : objective;
      const { loss } = measure(b, traced, measured, shapes, (output, values) =>
        losses.push(put(`losses${output}`, `loss of output ${output}`, values)),
      );
      results.loss = loss;
      for (const { path, spec, trainable } of network.weights) {
        const tensor = traced.weights.get(path);
        if (tensor)
          weights.push({ key: '', shape: spec.shape, name: path, gradient: ask(`weight/${path}`, tensor), trainable });
      }
      const scale = constant(b.graph, optimizer?.config.lossScaleFactor ?? 1);
      const found = gradients(
        [loss],
        [scale],
        asked.map(({ of }) => of),
        { memory: shapes.memory },
      );
      found.forEach((gradient, i) => {
        if (gradient) results[asked[i].key] = gradient;
      });
    }
    // Where nothing flows, there is no gradient.
    const flowing = <F extends Found>(one: F): F =>
      one.gradient && !results[one.gradient] ? { ...one, gradient: null } : one;
    tell({
      parts: parts.map((part) => ({ ...part, states: part.states.map(flowing), outputs: part.outputs.map(flowing) })),
      losses,
      weights: weights.map(flowing),
      hasLoss: objective !== null,
    });
    return { outputs: results };
  };
}

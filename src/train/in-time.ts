/**
 * How the values of a network stand to time when it runs one step at a time, found before anything is compiled: layers over time say it
 * by a rule, for all others it is followed through their operations. What cannot be run so is refused, with the layer and the reason.
 */
import { fail } from '../core/errors.ts';
import { Graph, type Value } from '../ir/graph.ts';
import type { InTime, StepMemory } from '../layers/in-time.ts';
import type { OpenShape } from '../layers/layer.ts';
import { axisOfTime, followTime, type TimeAxis } from '../ops/follow-time.ts';
import { Tensor } from '../ops/tensor.ts';
import type { CallResult, Network } from './network.ts';

/** For sizes that are open, or that would be mistaken for other axes: prime, and longer than most windows. */
const someSteps = 61;
const someRows = 2;

export interface InTimePlan {
  /** Of the inputs of every call: null for calls that remember nothing. */
  readonly memories: readonly (readonly InTime[] | null)[];
  readonly outputs: readonly InTime[];
  /** The layer that can take the fewest steps, and how many. */
  readonly limit: { readonly path: string; readonly steps: number } | null;
}

/** Inputs whose steps come one by one: sequences of features or of indices, and masks. */
export function inputsInTime(network: Network): InTime[] {
  const isMask = (call: number) => network.calls.some(({ masks }) => masks?.some((mask) => mask?.call === call));
  return network.inputs.map(({ call, shape, dtype }) =>
    shape.length >= 3 || (shape.length === 2 && (dtype === 'i32' || shape[1] === null || isMask(call)))
      ? 'steps'
      : 'fixed',
  );
}

function refuse(path: string, reason: string, next?: string): never {
  fail(
    'UNSUPPORTED',
    path,
    'a layer that gives each step when it comes',
    `one that cannot: ${reason}`,
    next ?? 'Use predict on whole sequences, or leave the layer out.',
  );
}

const shapeBehind = (shape: readonly number[], axis: number) => shape.slice(axis + 1).reduce((a, b) => a * b, 1);

/** Throws UNSUPPORTED, naming the layer, where the network cannot run one step at a time. `prefix`: of a network within another one. */
export function planInTime(network: Network, inputs: readonly InTime[], prefix = ''): InTimePlan {
  return new Planner(network, inputs, prefix).plan();
}

/** Walks the calls on a graph that is thrown away. Layers with a rule are asked; the operations of the others are looked at. */
class Planner {
  private readonly network: Network;
  private readonly inputs: readonly InTime[];
  private readonly prefix: string;
  private readonly graph = new Graph('in time');
  private readonly steps: number;
  private readonly times = new Map<Value, TimeAxis>();
  private readonly kinds: (readonly InTime[])[] = [];
  private readonly results: CallResult[] = [];
  private readonly memories: (readonly InTime[] | null)[] = [];
  private limit: InTimePlan['limit'] = null;

  constructor(network: Network, inputs: readonly InTime[], prefix: string) {
    this.network = network;
    this.inputs = inputs;
    this.prefix = prefix;
    const known = network.inputs.map(({ shape }, i) => (inputs[i] === 'steps' ? (shape[1] ?? 0) : 0));
    this.steps = known.find((size) => size > 1) ?? someSteps;
  }

  plan(): InTimePlan {
    this.network.calls.forEach((_, index) => {
      this.memories.push(null);
      const fed = this.network.inputs.findIndex(({ call }) => call === index);
      if (fed >= 0) {
        this.kinds.push([this.inputs[fed]]);
        this.results.push(this.standIns(index, [this.inputs[fed]], this.network.inputs[fed].dtype));
      } else this.call(index);
    });
    const outputs = this.network.outputs.map((r) => this.kinds[r.call][r.output]);
    return { memories: this.memories, outputs, limit: this.limit };
  }

  private pathOf(index: number): string {
    return `${this.prefix}${this.network.layers[this.network.calls[index].layer].name}`;
  }

  /** Tensors like those that a call gives, where it is not made. */
  private standIns(index: number, kinds: readonly InTime[], dtype: 'f32' | 'i32' = 'f32', masked = false): CallResult {
    const path = this.pathOf(index);
    const make = (shape: OpenShape, type: 'f32' | 'i32', isSequence: boolean) => {
      const sizes = shape.map((d, axis) => {
        if (axis === 0) return someRows;
        if (axis === 1 && isSequence) return this.steps;
        return d ?? refuse(path, 'it has a size that is open', 'Give the input of the model its shape.');
      });
      const tensor = new Tensor(this.graph, this.graph.input(path, { dtype: type, shape: sizes }));
      if (isSequence) this.times.set(tensor.value, { steps: this.steps, apart: shapeBehind(sizes, 1) });
      return tensor;
    };
    const { shapes } = this.network.calls[index];
    const isSequence = (i: number) => kinds[i] === 'steps';
    return {
      outputs: shapes.map((shape, i) => make(shape, dtype, isSequence(i))),
      masks: shapes.map((shape, i) => (masked && isSequence(i) ? make(shape.slice(0, 2), 'f32', true) : null)),
    };
  }

  private isStep({ shape, value }: Tensor): boolean {
    const time = this.times.get(value);
    return time !== undefined && axisOfTime(shape, time) === 1 && time.apart === shapeBehind(shape, 1);
  }

  private call(index: number): void {
    const { calls, layers } = this.network;
    const call = calls[index];
    const { layer } = layers[call.layer];
    const path = this.pathOf(index);
    const given = call.inputs.map((r) => this.kinds[r.call][r.output]);
    const masks = call.inputs.map((r, i) => {
      const own = call.masks?.[i];
      return own ? this.results[own.call].outputs[own.output] : this.results[r.call].masks[r.output];
    });
    for (const [i, mask] of masks.entries())
      if (given[i] === 'steps' && mask && !this.isStep(mask)) refuse(path, 'its mask is there as a whole');
    const rule = layer.definition.inTime;
    if (!rule) {
      this.kinds.push(this.followed(index, given, masks));
      return;
    }
    const found = rule(layer.config, {
      inputs: given,
      shapes: call.inputs.map((r) => calls[r.call].shapes[r.output]),
      path,
      refuse: (reason, next) => refuse(path, reason, next),
      limit: (steps) => {
        if (!this.limit || steps < this.limit.steps) this.limit = { path, steps };
      },
    });
    const outputs = call.shapes.map((_, i) => found[i] ?? found[found.length - 1]);
    this.kinds.push(outputs);
    if (given.includes('steps') || outputs.includes('steps')) this.memories[index] = given;
    this.results.push(
      this.standIns(
        index,
        outputs,
        'f32',
        masks.some((mask) => mask !== null),
      ),
    );
  }

  /** A layer without a rule: its operations must keep the steps apart. */
  private followed(index: number, given: readonly InTime[], masks: readonly (Tensor | null)[]): readonly InTime[] {
    const { network, graph } = this;
    const call = network.calls[index];
    const { layer } = network.layers[call.layer];
    const path = this.pathOf(index);
    const timeless: InTime = given.includes('latest') ? 'latest' : 'fixed';
    if (!given.includes('steps')) {
      const kinds = call.shapes.map(() => timeless);
      this.results.push(this.standIns(index, kinds));
      return kinds;
    }
    if (timeless === 'latest') refuse(path, 'it brings steps together with what changes as later ones come');
    const weights: Record<string, Tensor> = {};
    for (const { layer: owner, spec } of network.weights)
      if (owner === call.layer)
        weights[spec.name] = new Tensor(graph, graph.input(spec.name, { dtype: 'f32', shape: spec.shape }));
    const before = graph.nodes.length;
    graph.path = path;
    const result = layer.definition.call(layer.config, {
      inputs: call.inputs.map((r) => this.results[r.call].outputs[r.output]),
      masks,
      weights,
      training: false,
      random: { uniform: (shape) => new Tensor(graph, graph.input('draw', { dtype: 'f32', shape })) },
      path,
    });
    graph.path = '';
    this.results.push(result);
    const mixing = followTime(graph.nodes.slice(before), this.times);
    if (mixing) refuse(path, `${layer.className} brings steps together, or moves them (${mixing.op})`);
    return result.outputs.map((y) => {
      if (!this.times.has(y.value)) return timeless;
      if (!this.isStep(y)) refuse(path, `${layer.className} moves the axis of time`);
      return 'steps';
    });
  }
}

/** What the calls of a network are given, under the names of their layers. */
export function memoriesOf(
  network: Network,
  { memories }: InTimePlan,
  memory: Omit<StepMemory, 'inputs'>,
): (call: number) => StepMemory | undefined {
  const counts = new Map<string, number>();
  const names = network.calls.map((call, index) => {
    const { name } = network.layers[call.layer];
    if (!memories[index]) return name;
    const before = counts.get(name) ?? 0;
    counts.set(name, before + 1);
    return before ? `${name}/call_${before}` : name;
  });
  return (call) => {
    const inputs = memories[call];
    if (!inputs) return undefined;
    const path = (name: string) => `${names[call]}/${name}`;
    return {
      inputs,
      recall: (name, shape) => memory.recall(path(name), shape),
      keep: (name, value) => memory.keep(path(name), value),
      position: () => memory.position(),
      ...(memory.after !== undefined && { after: memory.after }),
    };
  };
}

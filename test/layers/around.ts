/** Calls one layer on a machine, as a network does, with inputs, masks and weights given, and takes its derivative. */
import type { NdArray } from '../../src/core/array.ts';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { uniform } from '../../src/ops/random.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import type { Machine } from '../../src/vm/vm.ts';

export interface LayerRun {
  readonly inputs: readonly NdArray[];
  /** 0 or 1, one per input. Default: none. */
  readonly masks?: readonly (NdArray | null)[];
  /** In the order that the layer declares. */
  readonly weights?: readonly NdArray[];
  readonly training?: boolean;
  /** One per output; without them no derivative is taken. */
  readonly outputGradients?: readonly NdArray[];
}

type Values = ArrayLike<number> | null;

export interface LayerOutcome {
  readonly shapes: readonly (readonly number[])[];
  readonly outputs: readonly Values[];
  readonly masks: readonly Values[];
  readonly weightGradients: readonly Values[];
  readonly inputGradients: readonly Values[];
  /** What the weights are afterwards, by their place. */
  readonly updates: ReadonlyMap<number, Values>;
}

export async function runLayer(machine: Machine, layer: Layer, run: LayerRun): Promise<LayerOutcome> {
  const { definition, config } = layer;
  const { inputs, masks = [], weights = [], training = false, outputGradients } = run;
  const open = inputs.map(({ shape }) => [null, ...shape.slice(1)]);
  const specs = definition.weights(config, open, 'layer');
  const space = new StateSpace(machine);
  for (const { name, shape, groups } of specs) space.declare(`layer/${name}`, shape, { groups });
  let shapes: (readonly number[])[] = [];
  const step = compileStep(space, 'layer', (b) => {
    const x = inputs.map(({ shape }, i) => b.input(`x${i}`, shape));
    const m = inputs.map((_, i) => {
      const mask = masks[i];
      return mask ? b.input(`mask${i}`, mask.shape) : null;
    });
    const held = specs.map(({ name }) => b.state(`layer/${name}`));
    const key = b.input('key', [2], 'i32');
    let draws = 0;
    b.graph.path = 'layer';
    const result = definition.call(config, {
      inputs: x,
      masks: m,
      weights: Object.fromEntries(specs.map(({ name }, i) => [name, held[i]])),
      training,
      random: { uniform: (shape) => uniform(key, shape, draws++) },
      path: 'layer',
    });
    b.graph.path = '';
    shapes = result.outputs.map((y) => y.shape);
    const outputs: Record<string, Tensor> = {};
    result.outputs.forEach((y, i) => {
      outputs[`y${i}`] = y;
    });
    result.masks.forEach((y, i) => {
      if (y) outputs[`m${i}`] = y;
    });
    if (outputGradients) {
      const given = outputGradients.map(({ shape }, i) => b.input(`d${i}`, shape));
      gradients([...result.outputs], given, [...held, ...x]).forEach((g, i) => {
        if (g) outputs[i < held.length ? `w${i}` : `g${i - held.length}`] = g;
      });
    }
    const updates = Object.entries(result.updates ?? {}).map(([name, value]) => [`layer/${name}`, value]);
    return { outputs, updates: Object.fromEntries(updates) };
  });
  specs.forEach(({ name }, i) => {
    space.set(`layer/${name}`, weights[i].data);
  });
  const feeds: Record<string, ArrayLike<number>> = { key: Int32Array.of(7, 9) };
  inputs.forEach(({ data }, i) => {
    feeds[`x${i}`] = data;
    const mask = masks[i];
    if (mask) feeds[`mask${i}`] = mask.data;
  });
  outputGradients?.forEach(({ data }, i) => {
    feeds[`d${i}`] = data;
  });
  const [result] = await step.run([feeds]);
  const named = (letter: string, count: number) => Array.from({ length: count }, (_, i) => result[letter + i] ?? null);
  return {
    shapes,
    outputs: named('y', shapes.length),
    masks: named('m', shapes.length),
    weightGradients: named('w', specs.length),
    inputGradients: named('g', inputs.length),
    updates: new Map(specs.map(({ name }, i) => [i, space.get(`layer/${name}`)])),
  };
}

/** Optimizers against Keras (test/golden/optimizers.py): ten steps of six weights under given gradients, for every option. */
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/core/shape.ts';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { constraints } from '../../src/layers/constraints.ts';
import { describedToKeras } from '../../src/layers/described.ts';
import { add, isFinite, select } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { optimizerOf, optimizers } from '../../src/train/optimizers/all.ts';
import type { Optimizer } from '../../src/train/optimizers/optimizer.ts';
import { kerasVariables, slotLeaf, slotLeaves } from '../../src/train/optimizers/slots.ts';
import { traceOptimizer } from '../../src/train/optimizers/step.ts';
import { rateAt } from '../../src/train/schedules/schedule.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { goldenMachines, readGolden } from '../golden/golden.ts';

type Values = number[];
interface Case {
  class_name: string;
  config: Record<string, unknown>;
  excluded: string[] | null;
  constraint: 'non_neg' | 'unit_norm' | null;
  /** Learning rates in place of the optimizer's. */
  rates?: number[] | null;
  steps: Values[][];
  averages?: Values[];
}
interface Golden {
  weights: [string, number[]][];
  kept: number[];
  start: Values[];
  gradients: Values[][];
  cases: Case[];
  variables: {
    class_name: string;
    config: Record<string, unknown>;
    serialised: Record<string, unknown>;
    variables: [string, number[]][];
  }[];
}
const golden = readGolden<Golden>('optimizers.json');
const machines = await goldenMachines();
const weightsOf = (groups = 1) => golden.weights.map(([path, shape]) => ({ path, shape, groups }));

/** Weights after the steps that are kept, and the averages at the end. */
async function trajectory(
  machine: Machine,
  optimizer: Optimizer,
  { constraint = null, rates = null }: Partial<Pick<Case, 'constraint' | 'rates'>> = {},
  groups = 1,
) {
  const space = new StateSpace(machine);
  const weights = weightsOf(groups);
  const shapes = new Map(weights.map(({ path, shape }) => [path, shape]));
  weights.forEach(({ path, shape }, i) => {
    space.declare(path, shape, { groups: shape.length && shape[shape.length - 1] % groups === 0 ? groups : 1 });
    space.set(path, golden.start[i]);
  });
  for (const { leaf, shape, groups: own, initial, weight } of slotLeaves(optimizer, weights)) {
    space.declare(leaf, shape, { groups: shape.length && shape[shape.length - 1] % own === 0 ? own : 1 });
    space.set(leaf, initial === 'weight' ? space.get(weight) : new Float64Array(sizeOf(shape)).fill(initial));
  }
  const names = Object.keys(optimizer.scalars(0, 1));
  const scale = optimizer.config.lossScaleFactor ?? 1;
  const rule = constraint && { non_neg: constraints.nonNeg(), unit_norm: constraints.unitNorm() }[constraint];
  const step = compileStep(space, 'optimizer', (b) => {
    const updates: Record<string, Tensor> = {};
    const trained = weights.map((weight, i) => ({
      ...weight,
      gradient: b.input(`g${i}`, weight.shape),
      project: rule && i < 3 ? (value: Tensor) => rule.project(value) : null,
    }));
    const scalars = Object.fromEntries(names.map((name) => [name, b.input(name, [])]));
    traceOptimizer(b, optimizer, trained, scalars, (leaf, next) => {
      updates[leaf] = next;
    });
    return { outputs: {}, updates };
  });
  const steps: Values[][] = [];
  for (const [k, gradients] of golden.gradients.entries()) {
    const scalars = optimizer.scalars(k, rates?.[k] ?? rateAt(optimizer.config.learningRate, k));
    await step.run([
      {
        ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g.map((value) => value * scale)])),
        ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, [value]])),
      },
    ]);
    if (golden.kept.includes(k + 1)) steps.push([...shapes.keys()].map((path) => [...space.get(path)]));
  }
  const averages = optimizer.config.useEma ? weights.map(({ path }) => [...space.get(slotLeaf(path, 'average'))]) : [];
  return { steps, averages };
}

function expectNear(got: Values[][], wanted: Values[][], tolerance: number): void {
  wanted.forEach((step, k) =>
    step.forEach((values, i) =>
      values.forEach((w, j) => {
        const distance = Math.abs(got[k][i][j] - w);
        if (!(distance <= tolerance * Math.max(1, Math.abs(w))))
          expect.fail(`step ${golden.kept[k]}, ${golden.weights[i][0]}[${j}]: ${got[k][i][j]}, wanted ${w}`);
      }),
    ),
  );
}

const caseOptimizer = ({ class_name, config, excluded }: Case) =>
  optimizerOf({ class_name, config: { ...config, ...(excluded && { exclude_from_weight_decay: excluded }) } });

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))(
  'ten steps on %s',
  (host, machine) => {
    const tolerance = host === 'oracle' ? 1e-9 : 1e-5;
    it.each(golden.cases.map((c) => [c.class_name, JSON.stringify(c.config), c] as const))(
      '%s %s',
      async (_, __, c) => {
        const { steps, averages } = await trajectory(machine, caseOptimizer(c), c);
        expectNear(steps, c.steps, tolerance);
        if (c.averages) expectNear([averages], [c.averages], tolerance);
      },
    );
  },
);

describe('programs', () => {
  // What is pointwise is one pass over each weight and its slots, options included.
  const chains = async (optimizer: Optimizer) => {
    const space = new StateSpace(machines[machines.length - 1]);
    const weights = ['a', 'b'].map((path) => ({ path, shape: [40, 24], groups: 1 }));
    for (const { path, shape } of weights) space.declare(path, shape);
    for (const { leaf, shape } of slotLeaves(optimizer, weights)) space.declare(leaf, shape);
    const names = Object.keys(optimizer.scalars(0, 1));
    const step = compileStep(space, 'optimizer', (b) => {
      const updates: Record<string, Tensor> = {};
      const scalars = Object.fromEntries(names.map((name) => [name, b.input(name, [])]));
      const trained = weights.map((weight) => ({
        ...weight,
        gradient: b.input(`g${weight.path}`, weight.shape),
        project: null,
      }));
      // As in training: nothing is written where a gradient is not finite.
      const good = isFinite(trained.map(({ gradient }) => sum(gradient)).reduce((a, own) => add(a, own)));
      traceOptimizer(b, optimizer, trained, scalars, (leaf, next) => {
        updates[leaf] = select(good, next, b.state(leaf));
      });
      return { outputs: {}, updates };
    });
    const program = step.explain().split('\nprogram:')[1];
    // Chains over single numbers do not count.
    const lines = program.split('\n').filter((line) => !line.includes('vectors=1 '));
    return lines
      .flatMap((line) => /^ +([A-Z_]+)( |$)/.exec(line)?.[1] ?? [])
      .filter((name) => name !== 'END' && !name.startsWith('REDUCE'));
  };
  const options = {
    learningRate: 0.1,
    useEma: true,
    emaOverwriteFrequency: 3,
    gradientAccumulationSteps: 2,
    weightDecay: 0.1,
    clipvalue: 1,
  };
  const pointwise = [
    'sgd',
    'rmsprop',
    'adam',
    'adamW',
    'adamax',
    'adagrad',
    'adadelta',
    'ftrl',
    'lion',
    'nadam',
  ] as const;
  it.skipIf(machines[machines.length - 1].traits.host === 'oracle').each(pointwise)(
    '%s: one chain for each weight',
    async (name) => {
      expect(await chains(optimizers[name]())).toEqual(['CHAIN', 'CHAIN']);
      expect(await chains(optimizers[name](options))).toEqual(['CHAIN', 'CHAIN']);
    },
  );
});

describe('layouts', () => {
  // The gates of a cell are interleaved in memory: the same numbers must come out.
  it.each(['adam', 'lamb', 'adafactor', 'muon', 'nadam', 'scheduleFreeAdamW'] as const)(
    '%s: of gates',
    async (name) => {
      const machine = machines[machines.length - 1];
      const optimizer = optimizers[name]({ learningRate: 0.05 });
      const plain = await trajectory(machine, optimizer);
      const grouped = await trajectory(machine, optimizer, {}, 2);
      expectNear(grouped.steps, plain.steps, 1e-6);
    },
  );
});

describe('what is kept', () => {
  it.each(golden.variables.map((c) => [c.class_name, JSON.stringify(c.config), c] as const))(
    '%s %s: as many values as Keras, in its order, and its configuration',
    (_, __, { class_name, config, serialised, variables }) => {
      const optimizer = optimizerOf({ class_name, config });
      const ours = kerasVariables(optimizer, weightsOf());
      expect(ours.map(({ shape }) => shape)).toEqual(variables.map(([, shape]) => shape));
      // Adafactor and Nadam leave the path or the whole name away for some.
      if (!/Adafactor|Nadam/.test(class_name))
        expect(ours.map(({ name }) => name)).toEqual(variables.map(([name]) => name));
      const written = describedToKeras(optimizer, 'keras.optimizers') as { config: Record<string, unknown> };
      const { name: _name, ...own } = written.config;
      // Keras takes no integer as momentum of SGD, and JSON has no 0.0.
      if (class_name === 'SGD') own.momentum ??= 0;
      const { config: theirs, ...rest } = serialised as { config: Record<string, unknown> };
      expect({ ...written, config: null }).toEqual({ ...rest, config: null });
      expect(Object.keys(own).sort()).toEqual(Object.keys(theirs).sort());
      for (const [key, value] of Object.entries(theirs))
        if (typeof value === 'number') expect(own[key], key).toBeCloseTo(value, 8);
        else expect(own[key], key).toEqual(value);
      expect(describedToKeras(optimizerOf(written), 'keras.optimizers')).toEqual(written);
    },
  );
});

describe('stay finite', () => {
  const machine = machines[machines.length - 1];
  /** The weight after steps with given gradients, from zero. */
  async function weightAfter(optimizer: Optimizer, shape: number[], gradients: Float32Array[]): Promise<number[]> {
    const space = new StateSpace(machine);
    const weight = { path: 'w', shape, groups: 1 };
    space.declare('w', shape);
    for (const { leaf, shape: own, initial } of slotLeaves(optimizer, [weight])) {
      space.declare(leaf, own);
      space.set(leaf, new Float64Array(sizeOf(own)).fill(initial === 'weight' ? 0 : initial));
    }
    const names = Object.keys(optimizer.scalars(0, 1));
    const step = compileStep(space, 'optimizer', (b) => {
      const updates: Record<string, Tensor> = {};
      const scalars = Object.fromEntries(names.map((name) => [name, b.input(name, [])]));
      const trained = [{ ...weight, gradient: b.input('g', shape), project: null }];
      traceOptimizer(b, optimizer, trained, scalars, (leaf, next) => {
        updates[leaf] = next;
      });
      return { outputs: {}, updates };
    });
    for (const [k, g] of gradients.entries()) {
      const scalars = Object.entries(optimizer.scalars(k, 0.01));
      await step.run([{ g, ...Object.fromEntries(scalars.map(([name, value]) => [name, [value]])) }]);
    }
    return [...space.get('w')];
  }
  it('a centred RMSprop, where all gradients are large and equal', async () => {
    // The means come down to the gradient from above, and stop a few roundings before it.
    const g = Float32Array.from({ length: 64 }, (_, i) => 1000 + i * 7.3);
    const larger = g.map((value) => value * 2);
    const gradients = Array.from({ length: 300 }, (_, k) => (k < 30 ? larger : g));
    const weight = await weightAfter(optimizers.rmsprop({ centered: true }), [64], gradients);
    expect(weight.every(Number.isFinite)).toBe(true);
  });
  it('Adafactor, where rows and columns have no gradient: those weights stay', async () => {
    const g = Float32Array.of(1, 2, 0, 0, 0, 0, -3, 1, 0, 2, 2, 0);
    const weight = await weightAfter(optimizers.adafactor({ learningRate: 0.1 }), [4, 3], [g, g, g]);
    weight.forEach((w, i) => expect(g[i] ? Math.sign(-g[i]) : 0, `weight ${i}`).toBe(Math.sign(w)));
    const none = await weightAfter(optimizers.adafactor({ learningRate: 0.1 }), [4, 3], [new Float32Array(12)]);
    expect(none).toEqual(new Array(12).fill(0));
  });
  it('Ftrl and Adagrad that start with zero', async () => {
    for (const optimizer of [
      optimizers.ftrl({ initialAccumulatorValue: 0 }),
      optimizers.ftrl({ initialAccumulatorValue: 0, learningRatePower: -0.7 }),
      optimizers.adagrad({ initialAccumulatorValue: 0 }),
    ]) {
      const g = Float32Array.of(0, 1);
      const [still, moved] = await weightAfter(optimizer, [2], [g, g]);
      expect(still).toBe(0);
      expect(moved).toBeLessThan(0);
    }
  });
  it.each(Object.keys(optimizers) as (keyof typeof optimizers)[])('%s without a gradient', async (name) => {
    const weight = await weightAfter(optimizers[name](), [4, 3], [new Float32Array(12), new Float32Array(12)]);
    expect(weight.every(Number.isFinite)).toBe(true);
  });
});

describe('options', () => {
  it('have the defaults of Keras', () => {
    expect(optimizers.sgd().config.learningRate).toBe(0.01);
    expect(optimizers.adam().config).toMatchObject({ learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 });
    expect(optimizers.scheduleFreeAdamW().config).toMatchObject({
      learningRate: 0.0025,
      epsilon: 1e-8,
      warmupSteps: 0,
    });
  });
  it('allow one way of clipping', () => {
    expect(() => optimizers.adam({ clipnorm: 1, clipvalue: 1 })).toThrow(/one way of clipping/);
  });
  it('that do not exist are answered with the nearest', () => {
    expect(() => optimizers.adam({ learning_rate: 0.1 } as object)).toThrow(/`learningRate: 0.1`/);
    expect(() => optimizerOf('adamm')).toThrow(/sgd, rmsprop, adam.*Did you mean 'adam'/);
    expect(optimizerOf('adamw').className).toBe('AdamW');
    expect(optimizerOf('schedule_free_adam_w').className).toBe('ScheduleFreeAdamW');
  });
  it.each([
    [{ gradientAccumulationSteps: 1 }, /gradientAccumulationSteps: expected a whole number from 2 on/],
    [{ emaMomentum: 1.1 }, /emaMomentum: expected a number from 0 to 1/],
    [{ emaOverwriteFrequency: 0 }, /emaOverwriteFrequency: expected a whole number from 1 on/],
    [{ lossScaleFactor: 0 }, /lossScaleFactor: expected a number above 0/],
    [{ excludeFromWeightDecay: ['('] }, /excludeFromWeightDecay: expected a regular expression, received '\('/],
    [{ learningRate: -1 }, /learningRate: expected a number from 0 on, one of `schedules`, or a function/],
  ])('%o is refused', (given, message) => {
    expect(() => optimizers.adam(given as object)).toThrow(message);
  });
  it('of Lion, Ftrl and Muon are held in their bounds', () => {
    expect(() => optimizers.lion({ beta1: 0 })).toThrow(/beta1: expected a number above 0/);
    expect(() => optimizers.ftrl({ learningRatePower: 0.5 })).toThrow(
      /learningRatePower: expected a number from 0 down/,
    );
    expect(() => optimizers.ftrl().scalars(0, 0)).toThrow(/expected a learning rate above 0, received 0/);
    expect(() => optimizers.muon({ excludeLayers: ['['] })).toThrow(/excludeLayers: expected regular expressions/);
    expect(() => optimizers.adamW({ weightDecay: -1 })).toThrow(/weightDecay/);
  });
});

describe('excludeFromWeightDecay', () => {
  const decays = (excluded: readonly (string | RegExp)[]) => {
    const optimizer = optimizers.sgd({ weightDecay: 0.1, excludeFromWeightDecay: excluded });
    return trajectory(machines[0], optimizer).then(({ steps }) => steps[0]);
  };
  it('takes names, layers, paths and expressions', async () => {
    const none = await decays([]);
    const without = (await trajectory(machines[0], optimizers.sgd())).steps[0];
    const changed = async (excluded: readonly (string | RegExp)[]) => {
      const got = await decays(excluded);
      return golden.weights.flatMap(([path], i) => {
        if (String(got[i]) === String(none[i])) return [];
        expect(got[i], path).toEqual(without[i]);
        return [path];
      });
    };
    expect(await changed(['bias'])).toEqual(['dense/bias']);
    expect(await changed(['kern'])).toEqual(['dense/kernel', 'tall/kernel', 'deep/kernel']);
    expect(await changed(['dense'])).toEqual(['dense/kernel', 'dense/bias']);
    expect(await changed(['tall/kernel'])).toEqual(['tall/kernel']);
    expect(await changed([/^(tall|gate)/g])).toEqual(['gate/scale', 'tall/kernel']);
  });
  it('is written and read', () => {
    const optimizer = optimizers.adamW({ excludeFromWeightDecay: ['bias', /Norm/i] });
    const written = describedToKeras(optimizer, 'keras.optimizers') as { config: Record<string, unknown> };
    expect(written.config.exclude_from_weight_decay).toEqual(['bias', '/Norm/i']);
    expect(optimizerOf(JSON.parse(JSON.stringify(written))).config).toEqual(optimizer.config);
  });
});

/** Cells over each other inside of one step: the output of each is the input of the next. One loop over time for all of them. */
import { fail } from '../../core/errors.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { type Cell, type CellWeight, cellWeights, defineCell, isCell, outputOf, partSizes, stateOf } from '../cell.ts';
import { cellOption } from '../cell-option.ts';
import type { StateTree } from '../cell-state.ts';
import { type Option, showValue } from '../options.ts';

const one = cellOption();

const cellsOption: Option<readonly Cell[], readonly Cell[], true> = {
  required: true,
  fallback: undefined,
  expected: 'a list of cells, such as `[layers.lstmCell({ units: 8 }), layers.lstmCell({ units: 4 })]`',
  parse(value, where) {
    if (!Array.isArray(value) || !value.length || !value.every(isCell))
      fail('ARGUMENT', where, this.expected, showValue(value));
    for (const { definition, className } of value as Cell[])
      if (definition.sequences?.length || definition.constants?.length)
        fail('UNSUPPORTED', where, 'cells of one input', `${className}, which takes further inputs`);
    return Object.freeze([...value]) as readonly Cell[];
  },
  toKeras: (cells, where) => cells.map((cell) => one.toKeras?.(cell, where)),
  fromKeras(json, reading, where) {
    if (!Array.isArray(json)) fail('FORMAT', where, 'a list of cells', showValue(json));
    return json.map((cell, i) => reading.cell(cell, `${where}[${i}]`));
  },
};

const prefix = (i: number) => `cells/${i}/`;

/** The weights of one of the cells, by its own names. */
const ownWeights = (weights: Readonly<Record<string, Tensor>>, i: number) =>
  Object.fromEntries(
    Object.entries(weights)
      .filter(([name]) => name.startsWith(prefix(i)))
      .map(([name, weight]) => [name.slice(prefix(i).length), weight]),
  );
const prefixed = <V>(values: Readonly<Record<string, V>>, i: number): [string, V][] =>
  Object.entries(values).map(([name, value]) => [prefix(i) + name, value]);

/**
 * Cells over each other, in one loop over time: x (B, F) to the output of the last one. The states are those of the first cell, then those of
 * the second, and so on. Parameters: those of all. Keras: StackedRNNCells.
 *
 * @example layers.rnn({ cell: layers.stackedRNNCells({ cells: [layers.lstmCell({ units: 8 }), layers.gruCell({ units: 4 })] }) })
 */
export const stackedRNNCells = defineCell({
  name: 'StackedRNNCells',
  options: {
    /** From the input to the output. */
    cells: cellsOption,
  },
  state: (config): readonly StateTree[] => {
    const sizes = partSizes(config.cells, config);
    return config.cells.map((cell, i) => stateOf(cell, sizes[i]));
  },
  output: (config) => {
    const sizes = partSizes(config.cells, config);
    const last = config.cells.length - 1;
    return outputOf(config.cells[last], sizes[last]);
  },
  weights(config): Record<string, CellWeight> {
    const sizes = partSizes(config.cells, config);
    const specs = config.cells.flatMap((cell, i) =>
      cellWeights(cell, sizes[i], true, prefix(i).slice(0, -1)).map((spec): [string, CellWeight] => [
        prefix(i) + spec.name,
        spec,
      ]),
    );
    return Object.fromEntries(specs);
  },
  prepare: (weights, { cells }) =>
    Object.fromEntries(
      cells.flatMap(({ definition, config }, i) => {
        const own = ownWeights(weights, i);
        return prefixed(definition.prepare?.(own, config) ?? own, i);
      }),
    ),
  parts: ({ cells }) => cells,
  step({ x, state, weights, config: { cells }, dropout }) {
    let output = x;
    const gates: Record<string, Tensor> = {};
    const next = cells.map(({ definition, config }, i) => {
      const result = definition.step({
        x: output,
        inputs: {},
        state: (state as readonly never[])[i],
        weights: ownWeights(weights, i),
        config,
        dropout: dropout.parts[i],
      });
      output = result.output;
      for (const [name, gate] of Object.entries(result.gates ?? {})) gates[`[${i}].${name}`] = gate;
      return result.state;
    });
    return { output, state: next as never, gates };
  },
});

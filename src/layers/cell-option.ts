/** The option that takes a cell. */
import { fail } from '../core/errors.ts';
import { type Cell, isCell } from './cell.ts';
import { type Option, optionsToKeras, showValue } from './options.ts';

export const cellOption = (): Option<Cell, Cell, true> => ({
  required: true,
  fallback: undefined,
  expected: 'a cell, such as `layers.lstmCell({ units: 8 })` or one of `defineCell`',
  parse(value, where) {
    if (!isCell(value)) fail('ARGUMENT', where, this.expected, showValue(value));
    return value;
  },
  toKeras: (cell, where) => ({
    module: 'keras.layers',
    class_name: cell.className,
    config: {
      name: null,
      trainable: true,
      dtype: 'float32',
      ...optionsToKeras(cell.definition.options, cell.config, where),
    },
    registered_name: null,
  }),
  fromKeras: (json, reading, where) => reading.cell(json, where),
});

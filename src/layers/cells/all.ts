/** The built-in cells, by class name. */
import type { CellFactory } from '../cell.ts';
import type { OptionTable } from '../options.ts';
import { gruCell } from './gru.ts';
import { lstmCell } from './lstm.ts';
import { simpleRNNCell } from './simple-rnn.ts';

export const cells: ReadonlyMap<string, CellFactory<OptionTable>> = new Map(
  [simpleRNNCell, lstmCell, gruCell].map((cell) => [cell.definition.name, cell as unknown as CellFactory<OptionTable>]),
);

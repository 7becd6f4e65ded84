/** The built-in cells that stand in configurations, by class name. */
import type { CellFactory } from '../cell.ts';
import type { OptionTable } from '../options.ts';
import { gruCell } from './gru.ts';
import { indRNNCell } from './ind-rnn.ts';
import { lstmCell } from './lstm.ts';
import { minimalGatedUnitCell } from './minimal-gated-unit.ts';
import { simpleRNNCell } from './simple-rnn.ts';
import { stackedRNNCells } from './stacked.ts';

export const cells: ReadonlyMap<string, CellFactory<OptionTable>> = new Map(
  [simpleRNNCell, lstmCell, gruCell, minimalGatedUnitCell, indRNNCell, stackedRNNCells].map((cell) => [
    cell.definition.name,
    cell as unknown as CellFactory<OptionTable>,
  ]),
);

/** Looking inside a model at work on a batch that it has been trained on. */
import { fail } from '../core/errors.ts';
import type { ReadyBatch } from './batches.ts';
import { type Inspection, inspectionOf } from './inspect.ts';
import { runLook } from './inspect-run.ts';
import type { Session } from './session.ts';
import { shapesKey } from './steps.ts';

export interface InspectBatchOptions {
  /** The first so many rows of the batch; stateful layers take all. Default: all. */
  readonly rows?: number;
}

/** The inspection of a batch, as a step of training sees it: with the draws of the next step, and gradients. Changes nothing. */
export async function inspectBatch(
  session: Session,
  batch: ReadyBatch | null,
  options: InspectBatchOptions,
): Promise<Inspection> {
  if (!batch?.trainer) fail('STATE', 'run.inspect', 'a step that has been made', 'none');
  const { trainer, samples } = batch;
  const { rows = samples } = options;
  if (!Number.isInteger(rows) || rows < 1) fail('ARGUMENT', 'run.inspect: rows', 'a positive integer', String(rows));
  const part = trainer.keepsRows || batch.shapes.window ? batch : batch.first(rows);
  const { shapes } = part;
  const key = `batch ${shapesKey(shapes)} ${trainer.objectiveKey}`;
  const looked = await runLook(session, key, trainer.lookOptions(shapes), { ...part.feed(), ...trainer.drawFeed() });
  return inspectionOf(looked);
}

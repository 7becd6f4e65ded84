/** Single steps on one batch, for those who drive a model from outside. */
import type { NdArray } from '../core/array.ts';
import type { Result } from '../engine/compile.ts';
import { numericError } from './anomaly.ts';
import { Averages } from './averages.ts';
import { type ReadyBatch, wholeBatch } from './batches.ts';
import type { Samples } from './data.ts';
import { keepsRows, type Network } from './network.ts';
import { runPredict } from './predict.ts';
import type { Session } from './session.ts';
import { haltedLeaf, resultOf } from './steps.ts';
import type { Trainer } from './trainer.ts';

function logsOf(trainer: Trainer, result: Result, samples: number): Record<string, number> {
  const averages = new Averages(trainer.objective.reported);
  averages.add(result, samples);
  return averages.logs();
}

/** One step of training on all of the samples: loss and metrics before it. */
export async function runTrainOnBatch(
  session: Session,
  trainer: Trainer,
  set: Samples,
): Promise<Record<string, number>> {
  const release = session.claim('trainOnBatch');
  try {
    const batch: ReadyBatch = wholeBatch(set, trainer, trainer.keepsRows);
    const step = await trainer.trainStep(batch.shapes);
    const [result] = await session.runStaged(step.stage([batch.feed()]), () => [trainer.trainFeed(0)]);
    if (resultOf(result, 'good')[0] === 0) {
      session.set(haltedLeaf, Float32Array.of(0));
      throw await numericError('trainOnBatch', { session, trainer, batch, loss: resultOf(result, 'loss')[0] });
    }
    trainer.advance(1);
    return logsOf(trainer, result, batch.samples);
  } finally {
    release();
  }
}

/** Loss and metrics of all samples as one batch. */
export async function runTestOnBatch(
  session: Session,
  trainer: Trainer,
  set: Samples,
): Promise<Record<string, number>> {
  const batch = wholeBatch(set, trainer, trainer.keepsRows);
  const [result] = await session.run(await trainer.evaluateStep(batch.shapes), [batch.feed()]);
  return logsOf(trainer, result, batch.samples);
}

/** The outputs for all samples as one batch. */
export function runPredictOnBatch(session: Session, network: Network, set: Samples): Promise<NdArray[]> {
  const batches = [wholeBatch(set, null, keepsRows(network))];
  const next = () => batches.pop() ?? null;
  return runPredict({
    session,
    network: () => network,
    next,
    steps: null,
    samples: null,
    out: null,
    where: 'predictOnBatch',
  });
}

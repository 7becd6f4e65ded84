/**
 * Training and inference over a grid of points, in turn with every peer in the same run. Training is forward, mean squared error of the whole
 * output sequence, backward without the gradient of the input, and Adam, through `fit`; inference goes through `predict`, which writes its results
 * over those of the last time (as PyTorch's loop, which drops them, has their memory again), and beside it into a new array.
 *
 * UNROLLED_BENCH_POINTS='gru 32 x 100' measures the points whose label contains it.
 */
import { openMachine } from 'unrolled';
import { type Contestant, contest, type Measured } from './contest.ts';
import { OwnModel } from './own-model.ts';
import { measurePeak } from './peak.ts';
import { KerasPeer } from './peers/keras.ts';
import { OnnxPeer } from './peers/onnx.ts';
import type { Peer } from './peers/peer.ts';
import { TensorFlowPeer } from './peers/tfjs.ts';
import { TorchPeer } from './peers/torch.ts';
import { flopsOf, labelOf, type Point, pointsOf, type Work } from './points.ts';
import { geometricMean, type Row, report } from './report.ts';
import { settings } from './settings.ts';
import { isOfTheTable, targetOf, targets, threadTargetOf, yesOrNo } from './targets.ts';

const { threads, rounds, window, selection, only } = settings;

async function startPeers(work: Work): Promise<readonly Peer[]> {
  const peers = [
    await TorchPeer.start('torch_steps.py', threads),
    await KerasPeer.start('jax', threads),
    await KerasPeer.start('tensorflow', threads),
    work === 'infer' ? await OnnxPeer.start(threads) : null,
    threads === 1 ? await TensorFlowPeer.start() : null,
  ];
  return peers.filter((peer) => peer !== null);
}

/** What is compiled for seconds at every shape is measured, in the five-minute selection, at one cell alone. */
function takes(peer: Peer, point: Point, work: Work): boolean {
  if (selection === 'quick' && !(peer instanceof TorchPeer) && point.kind !== 'lstm') return false;
  return peer.takes(point, work);
}

const own = 'unrolled';
const alone = 'unrolled, 1 thread';
const anew = 'unrolled, new array';

interface Outcome {
  readonly point: Point;
  readonly ratio: number | null;
  readonly row: Row;
}

function outcomeOf(
  point: Point,
  work: Work,
  measured: ReadonlyMap<string, Measured>,
  peers: readonly Peer[],
  peak: number,
): Outcome {
  const milliseconds = measured.get(own)?.median ?? Number.NaN;
  const rate = flopsOf(point, work) / milliseconds / 1e6;
  const share = rate / peak;
  const torch = measured.get('PyTorch')?.median;
  const ratio = torch ? torch / milliseconds : null;
  const row: Record<string, string | number> = {
    point: labelOf(point),
    ms: milliseconds,
    'GFLOP/s': rate,
    'of peak': `${(100 * share).toFixed(0)} %`,
  };
  for (const { name } of peers) {
    const other = measured.get(name)?.median;
    row[`${name} ms`] = other ?? '-';
    row[`x ${name}`] = other ? other / milliseconds : '-';
  }
  const fresh = measured.get(anew)?.median;
  if (fresh) row['ms, new array'] = fresh;
  const single = measured.get(alone)?.median;
  if (single) {
    const wanted = threadTargetOf(point);
    row['1 thread ms'] = single;
    row['speed-up'] = single / milliseconds;
    row.target = wanted ? `${wanted}x` : '-';
    row.met = yesOrNo(wanted ? single / milliseconds >= wanted : null);
  } else {
    const wanted = targetOf(point, work);
    const shareText = wanted?.share ? `, ${100 * wanted.share} % of peak` : '';
    row.target = wanted ? `${wanted.ratio}x${shareText}` : '-';
    const enough = wanted?.share ? share >= wanted.share : true;
    row.met = yesOrNo(wanted && ratio !== null ? ratio >= wanted.ratio && enough : null);
  }
  return { point, ratio, row };
}

/** The geometric mean of the table's rows and the worst ratio over everything, with what the design wants of them. */
function totals(work: Work, outcomes: readonly Outcome[]): Row[] {
  const known = outcomes.filter((one): one is Outcome & { ratio: number } => one.ratio !== null);
  if (known.length === 0) return [];
  const table = known.filter(({ point }) => isOfTheTable(point));
  const rows: Row[] = [];
  const wanted = threads === 1;
  if (table.length > 0) {
    const mean = geometricMean(table.map(({ ratio }) => ratio));
    const isTarget = wanted && work === 'train' && table.length === 12;
    rows.push({
      figure: `geometric mean of ${table.length} rows of the table, x PyTorch`,
      value: mean,
      target: isTarget ? targets.geometricMean : '-',
      met: yesOrNo(isTarget ? mean >= targets.geometricMean : null),
    });
  }
  const lowest = work === 'train' ? targets.worstTraining : targets.worstInference;
  const worst = (name: string, some: readonly (typeof known)[number][]) => {
    const last = some.reduce((a, b) => (b.ratio < a.ratio ? b : a));
    rows.push({
      figure: `worst of ${some.length} ${name}, x PyTorch: ${labelOf(last.point)}`,
      value: last.ratio,
      target: wanted ? lowest : '-',
      met: yesOrNo(wanted ? last.ratio >= lowest : null),
    });
  };
  if (table.length > 0) worst('rows of the table', table);
  worst('points of the grid', known);
  return rows;
}

export async function grid(work: Work): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const { rate } = await measurePeak();
  const peak = rate * threads;
  console.log(`peak ${peak.toFixed(1)} GFLOP/s, ${threads} thread${threads > 1 ? 's' : ''}, ${host} ${isa}`);
  const peers = await startPeers(work);
  const points = pointsOf(selection, threads).filter((point) => labelOf(point).includes(only));
  if (points.length === 0) throw new Error(`UNROLLED_BENCH_POINTS: no point has '${only}' in its label`);
  const outcomes: Outcome[] = [];
  const details: Record<string, unknown> = {};
  for (const [at, point] of points.entries()) {
    const contestants: Contestant[] = [
      Object.assign(new OwnModel(point, work, threads), { name: own }),
      ...(work === 'infer' ? [Object.assign(new OwnModel(point, work, threads, 'new array'), { name: anew })] : []),
      ...(threads > 1 ? [Object.assign(new OwnModel(point, work, 1), { name: alone })] : []),
      ...peers.filter((peer) => takes(peer, point, work)),
    ];
    const label = labelOf(point);
    const measured = await contest(contestants, point, work, {
      rounds,
      window,
      progress: (name, milliseconds, steps) =>
        console.log(
          `${work} ${at + 1}/${points.length} ${label}: ${name} ${milliseconds.toPrecision(3)} ms, ${steps} steps a round`,
        ),
    });
    outcomes.push(outcomeOf(point, work, measured, peers, peak));
    details[label] = Object.fromEntries(measured);
  }
  for (const peer of peers) peer.stop();
  const summary = totals(work, outcomes);
  report(
    threads > 1 ? `${work}-${threads}-threads` : work,
    outcomes.map(({ row }) => row),
    {
      host,
      isa,
      threads,
      peak,
      rounds,
      window,
      selection,
      peers: peers.map((p) => ({ name: p.name, version: p.version })),
      details,
    },
    summary,
  );
}

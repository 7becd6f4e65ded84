/**
 * Chains of tags: the sequence of tags y1 .. yT of a row has the score
 *   start[y1] + potentials[1, y1] + sum over t > 1 of transitions[y(t-1), y(t)] + potentials[t, yt] + end[yT],
 * and its probability is exp(score) by the sum over all sequences. Steps that are masked are left out wherever they stand: their neighbours
 * follow each other. A row without steps has one empty sequence, of score 0.
 *
 * Lafferty, McCallum and Pereira, "Conditional random fields" (2001), section 3; decoding after Viterbi. All in log space, as scans.
 */
import { oneHot } from './gather.ts';
import { matmul } from './matmul.ts';
import { add, exp, log, mul, select, sub, toFloat, toInt } from './pointwise.ts';
import { argmax, max, sum } from './reduce.ts';
import { scan } from './scan.ts';
import { broadcastTo, reshape, stopGradient, transpose, zeros } from './shape.ts';
import { constant, type Tensor } from './tensor.ts';

export interface Chain {
  /** [B, T, K]: how well a tag fits a step. */
  readonly potentials: Tensor;
  /** [K, K]: from the tag of the row to the tag of the column. */
  readonly transitions: Tensor;
  /** [K]; null: zeros. */
  readonly start: Tensor | null;
  /** [K]; null: zeros. */
  readonly end: Tensor | null;
  /** [B, T], 0 or 1; null: all steps are there. */
  readonly mask: Tensor | null;
}

/** What the scans walk over, time in front, and what they hold fixed. */
function parts({ potentials, transitions, start, end, mask }: Chain) {
  const { graph } = potentials;
  const [rows, length, tags] = potentials.shape;
  const row = (x: Tensor | null) => (x ? reshape(x, [1, tags]) : zeros(graph, [1, tags]));
  const steps = mask ?? broadcastTo(constant(graph, 1), [rows, length]);
  return {
    graph,
    rows,
    length,
    tags,
    unary: transpose(potentials, [1, 0, 2]),
    here: reshape(transpose(steps, [1, 0]), [length, rows, 1]),
    // [1, K to, K from] and [1, K from, K to]: the last axis is the one that is summed.
    into: reshape(transpose(transitions, [1, 0]), [1, tags, tags]),
    outOf: reshape(transitions, [1, tags, tags]),
    start: row(start),
    end: row(end),
  };
}

/** log of the sum of exp over the last axis. */
function logSum(x: Tensor): Tensor {
  const top = stopGradient(max(x, { axes: [-1], keepDims: true }));
  return add(log(sum(exp(sub(x, top)), { axes: [-1] })), reshape(top, x.shape.slice(0, -1)));
}

const beforeTag = (x: Tensor): Tensor => reshape(x, [x.shape[0], 1, x.shape[1]]);

/** log of the sums over all beginnings, [T, B, K], after the last step [B, K], and whether a row has a step, [B, 1]. */
function forward(chain: Chain) {
  const { graph, rows, length, tags, unary, here, into, start } = parts(chain);
  const { carry, outputs } = scan(
    {
      init: [zeros(graph, [rows, tags]), zeros(graph, [rows, 1])],
      sequences: [unary, here],
      constants: [into, start],
      length,
    },
    ([alpha, begun], [fits, now], [moves, first]) => {
      const reached = select(begun, logSum(add(beforeTag(alpha), moves)), first);
      const next = select(now, add(reached, fits), alpha);
      return { carry: [next, select(now, 1, begun)], outputs: [next] };
    },
  );
  return { all: outputs[0], last: carry[0], begun: carry[1] };
}

/** log of the sum over all sequences of tags of exp(score): [B]. */
export function chainLogPartition(chain: Chain): Tensor {
  const { last, begun } = forward(chain);
  const { rows, end } = parts(chain);
  return select(reshape(begun, [rows]), logSum(add(last, end)), 0);
}

/** The score of one sequence of tags: [B]. @param tags [B, T, K], 1 at the tag of a step, else 0 */
export function chainScore(chain: Chain, tags: Tensor): Tensor {
  const { graph, rows, length, tags: count, unary, here, start, end } = parts(chain);
  const nothing = zeros(graph, [rows, 1]);
  const total = (x: Tensor) => sum(x, { axes: [1], keepDims: true });
  const { carry } = scan(
    {
      init: [zeros(graph, [rows, count]), nothing, nothing],
      sequences: [transpose(tags, [1, 0, 2]), unary, here],
      constants: [chain.transitions, start],
      length,
    },
    ([before, begun, score], [tag, fits, now], [moves, first]) => {
      const reached = select(begun, matmul(before, moves), first);
      const gain = total(mul(add(reached, fits), tag));
      return {
        carry: [select(now, tag, before), select(now, 1, begun), add(score, select(now, gain, 0))],
        outputs: [],
      };
    },
  );
  return reshape(add(carry[2], total(mul(carry[0], end))), [rows]);
}

/** The probability of every tag at every step, given the whole row: [B, T, K]; zeros where a step is masked. */
export function chainMarginals(chain: Chain): Tensor {
  const { rows, length, tags, unary, here, outOf, end } = parts(chain);
  const { all, last } = forward(chain);
  const partition = reshape(logSum(add(last, end)), [rows, 1]);
  const { outputs } = scan(
    {
      init: [broadcastTo(end, [rows, tags])],
      sequences: [unary, here, all],
      constants: [outOf, partition],
      length,
      reverse: true,
    },
    // `after` is the log of the sums over all endings that follow a tag.
    ([after], [fits, now, before], [moves, whole]) => {
      const share = exp(sub(add(before, after), whole));
      const next = logSum(add(beforeTag(add(fits, after)), moves));
      return { carry: [select(now, next, after)], outputs: [select(now, share, 0)] };
    },
  );
  return reshape(transpose(outputs[0], [1, 0, 2]), [rows, length, tags]);
}

/** The sequence of tags with the highest score, as 1 at the tag of a step, else 0: [B, T, K]; zeros where a step is masked. */
export function chainDecode(chain: Chain): Tensor {
  const { graph, rows, length, tags, unary, here, into, start, end } = parts(chain);
  const own = constant(
    graph,
    Float64Array.from({ length: tags }, (_, k) => k),
    [1, tags],
  );
  const walked = scan(
    {
      init: [zeros(graph, [rows, tags]), zeros(graph, [rows, 1])],
      sequences: [unary, here],
      constants: [into, start, own],
      length,
    },
    ([best, begun], [fits, now], [moves, first, same]) => {
      const ways = add(beforeTag(best), moves);
      const reached = select(begun, max(ways, { axes: [-1] }), first);
      // From which tag each is reached; a masked step is left by the tag that it was entered with.
      const from = select(now, toFloat(argmax(ways)), same);
      return { carry: [select(now, add(reached, fits), best), select(now, 1, begun)], outputs: [from] };
    },
  );
  const final = oneHot(argmax(add(walked.carry[0], end)), tags);
  const { outputs } = scan(
    { init: [final], sequences: [walked.outputs[0], here], constants: [], length, reverse: true },
    ([tag], [from, now]) => {
      const before = oneHot(toInt(sum(mul(tag, from), { axes: [1] })), tags);
      return { carry: [before], outputs: [mul(tag, now)] };
    },
  );
  return transpose(outputs[0], [1, 0, 2]);
}

/** Bytes a second that one core moves between arrays that no cache holds: a copy, and a + s * b (the triad), run by programs of the machine. */
import { encodeProgram, type Machine, ProgramBuilder, Segment } from 'unrolled';
import { interleave } from './report.ts';

/** Three arrays of 64 MB. */
const count = 2 ** 24;
const passes = 3;
const runs = 5;

/** Position of a * b + c in the treaty's table of chains: the result would not come out if it were another. */
const fma = 5;
const [ofB, ofC, factor] = [2, 3, 4];

const [a, b, c, scalar] = [0, count, 2 * count, 3 * count];
const scratch = scalar + 16;
const vectorsAtOnce = 8;
const floats = scratch + 16 * vectorsAtOnce + 16;

interface Work {
  readonly bytes: number;
  /** Every element of the result. */
  readonly result: number;
  emit(builder: ProgramBuilder, at: (offset: number) => { slot: number; offset: number }): void;
}

const works = {
  copy: {
    bytes: 2 * 4 * count,
    result: ofB,
    emit: (builder, at) =>
      builder.emit('COPY', { src: at(b), dst: at(a) }, { dims: [{ size: count, srcStride: 1, dstStride: 1 }] }),
  },
  triad: {
    bytes: 3 * 4 * count,
    result: ofB + factor * ofC,
    emit(builder, at) {
      const view = (offset: number, step: number) => ({ at: at(offset), step, pitch: 0, cols: 0 });
      const vectors = count / 16;
      builder.emit(
        'CHAIN',
        { vectors, perRow: vectors, block: vectorsAtOnce, registers: 0, scratch: at(scratch) },
        {
          views: [view(a, 16), view(b, 16), view(c, 16), view(scalar, 0)],
          ops: [{ op: fma, d: 0, a: 2, b: 3, c: 1 }],
        },
      );
    },
  },
} satisfies Readonly<Record<string, Work>>;

/** GB/s of the best of some runs. */
export async function measureBandwidth(machine: Machine): Promise<Record<keyof typeof works, number>> {
  const state = machine.allocate(floats);
  state.fill(ofB, b, c).fill(ofC, c, scalar).fill(factor, scalar, scratch);
  const nothing = machine.allocate(16);
  const rateOf = async ({ bytes, result, emit }: Work) => {
    const builder = new ProgramBuilder();
    const slot = builder.slot(Segment.state, 0);
    builder.emit('LOOP', { count: passes, body: 0 }, { moves: [] });
    emit(builder, (offset) => ({ slot, offset }));
    builder.emit('NEXT');
    const program = machine.load(encodeProgram(builder.finish({ arena: 16, state: floats, io: 0 })));
    const once = async () => {
      const started = performance.now();
      machine.runSync(program, state, nothing, { ioStride: 0, steps: 1, writesState: true });
      return performance.now() - started;
    };
    const { times } = await interleave({ times: once }, runs);
    program.release();
    if (state[a] !== result || state[b - 1] !== result) throw new Error(`expected ${result}, received ${state[a]}`);
    return (bytes * passes) / Math.min(...times) / 1e6;
  };
  return { copy: await rateOf(works.copy), triad: await rateOf(works.triad) };
}

/**
 * The rate of multiplications and additions that one core reaches when nothing has to be waited for: products of 48 x 256 by 256 x 64, whose
 * operands stay in the first and second level of the cache, run by one program of the machine. This is what `share of peak` refers to.
 */
import { encodeProgram, openMachine, ProgramBuilder, Segment } from 'unrolled';
import { interleave, median, type Row, report } from './report.ts';

const rows = 48;
const total = 256;
const columns = 64;
const passes = 1000;

/** GFLOP/s of the best of some runs, one thread, on the host that UNROLLED_HOST chooses. */
export async function measurePeak(): Promise<{ rate: number; rates: number[]; host: string; isa: string }> {
  const machine = await openMachine();
  const builder = new ProgramBuilder();
  const arena = builder.slot(Segment.arena, 0);
  const [a, b, packed, c] = [0, rows * total, rows * total + total * columns, rows * total + 2 * total * columns];
  const at = (offset: number) => ({ slot: arena, offset });
  const panel = 4;
  builder.emit('FILL', { dst: at(a), count: packed, value: 0.5 });
  builder.emit(
    'PACK',
    { dst: at(packed), panel, blocks: columns / 16, cols: columns, nStep: 1, total },
    { runs: [{ at: at(b), step: columns, count: total }] },
  );
  builder.emit('LOOP', { count: passes, body: 0 }, { moves: [] });
  builder.emit(
    'PRODUCT',
    {
      rows,
      blocks: columns / 16,
      dst: at(c),
      dstPitch: columns,
      init: 0,
      initAt: at(c),
      initPitch: 0,
      packed: at(packed),
      panel,
      total,
    },
    { segments: [{ at: at(a), pitch: total, step: 1, count: total }] },
  );
  builder.emit('NEXT');
  const program = machine.load(encodeProgram(builder.finish({ arena: c + rows * columns + 16, state: 0, io: 0 })));
  const nothing = machine.allocate(16);
  const once = async () => {
    const started = performance.now();
    machine.runSync(program, nothing, nothing, { ioStride: 0, steps: 1, writesState: false });
    return performance.now() - started;
  };
  const { times } = await interleave({ times: once }, 15);
  program.release();
  const rates = times.map((ms) => (2 * rows * total * columns * passes) / ms / 1e6);
  return { rate: Math.max(...rates), rates, host: machine.traits.host, isa: machine.traits.isa };
}

export async function peak(): Promise<void> {
  const { rate, rates, host, isa } = await measurePeak();
  const row: Row = { host, isa, 'best GFLOP/s': rate, 'median GFLOP/s': median(rates) };
  report('peak', [row], { product: `${rows} x ${total} by ${total} x ${columns}`, passes });
}

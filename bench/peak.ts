/**
 * The rate of multiplications and additions that one core reaches when nothing has to be waited for: products of 48 x 256 by 256 x 64, whose
 * operands stay in the first and second level of the cache, run by one program of the machine. This is what `share of peak` refers to. Beside
 * it the bandwidth of the memory; both for every host and instruction set that there is, on a core of every type.
 */
import { encodeProgram, openMachine, ProgramBuilder, Segment } from 'unrolled';
import { measureBandwidth } from './bandwidth.ts';
import { answerAsChild, childResult } from './child.ts';
import { coreTypes } from './pinning.ts';
import { interleave, median, type Row, report } from './report.ts';

const height = 48;
const total = 256;
const columns = 64;
const passes = 1000;

/** GFLOP/s of the best of some runs, one thread, on the host that UNROLLED_HOST chooses. */
export async function measurePeak(): Promise<{ rate: number; rates: number[]; host: string; isa: string }> {
  const machine = await openMachine();
  const builder = new ProgramBuilder();
  const arena = builder.slot(Segment.arena, 0);
  const [a, b, packed, c] = [0, height * total, height * total + total * columns, height * total + 2 * total * columns];
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
      rows: height,
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
  const program = machine.load(encodeProgram(builder.finish({ arena: c + height * columns + 16, state: 0, io: 0 })));
  const nothing = machine.allocate(16);
  const once = async () => {
    const started = performance.now();
    machine.runSync(program, nothing, nothing, { ioStride: 0, steps: 1, writesState: false });
    return performance.now() - started;
  };
  const { times } = await interleave({ times: once }, 15);
  program.release();
  const rates = times.map((ms) => (2 * height * total * columns * passes) / ms / 1e6);
  return { rate: Math.max(...rates), rates, host: machine.traits.host, isa: machine.traits.isa };
}

interface Figures {
  readonly rate: number;
  readonly rates: number[];
  readonly copy: number;
  readonly triad: number;
}

const sets: readonly (readonly [host: string, isa: string])[] = [
  ['native', 'avx512'],
  ['native', 'avx2'],
  ['native', 'sse'],
  ['native', 'neon'],
  ['wasm', 'simd128'],
  ['wasm', 'relaxed'],
];

/** The host is chosen once per process, so every line is measured in a process of its own. */
export async function peak(): Promise<void> {
  const rows: Row[] = [];
  const absent: string[] = [];
  for (const { name, cpu } of coreTypes())
    for (const [host, isa] of sets) {
      const figures = childResult<Figures | null>(import.meta.url, null, {
        cpus: [cpu],
        environment: { UNROLLED_HOST: host, UNROLLED_ISA: isa },
      });
      if (!figures) {
        absent.push(`${host} ${isa}`);
        continue;
      }
      const { rate, rates, copy, triad } = figures;
      console.log(`peak ${host} ${isa} on ${name}: ${rate.toFixed(1)} GFLOP/s`);
      rows.push({
        core: name,
        host,
        isa,
        'best GFLOP/s': rate,
        'median GFLOP/s': median(rates),
        'copy GB/s': copy,
        'triad GB/s': triad,
      });
    }
  if (absent.length > 0) console.log(`Not on this machine: ${[...new Set(absent)].join(', ')}.`);
  report('peak', rows, { product: `${height} x ${total} by ${total} x ${columns}`, passes });
}

async function figures(): Promise<Figures | null> {
  const machine = await openMachine().catch(() => null);
  if (!machine) return null;
  const { rate, rates } = await measurePeak();
  return { rate, rates, ...(await measureBandwidth(machine)) };
}

await answerAsChild(import.meta.url, figures);

/**
 * THE TREATY between the compiler and the machine: one row per instruction and one per operation of a chain.
 * `tools/generate-treaty.mjs` writes `native/generated/treaty.h` from this table at build, so that the two sides
 * cannot disagree. `ir/program.ts` encodes, verifies and prints by it.
 *
 * Memory. All elements are 4 bytes (f32 or i32). A *reference* is two integers, a slot and an offset in elements; a slot
 * is a moving pointer into a segment (`Segment`). Offsets and sizes are in elements unless a field says otherwise.
 * A *block* is 16 floats, the unit of layout on every host; rows are padded to whole blocks (`engine/layout.ts`).
 * Padding may hold anything and never has a meaning, but may be read and written. 16 elements may be read beyond the
 * end of any buffer.
 *
 * An instruction is `[opcode, length in integers, ...fields, repeat count?, ...repeats]`; `length` covers all of it.
 */
export const LANES = 16;
/** Segments of a product, at most; the machine refuses more. */
export const MOST_SEGMENTS = 256;

/** Where a slot points. The state lives as long as the model; io is handed over for each run and moves on every step. */
export const Segment = { arena: 0, state: 1, io: 2, constants: 3 } as const;

/** `ref` is two integers (slot, offset), `int` one, `f32` one (the bits). A name with a question mark is optional. */
export type FieldKind = 'ref' | 'int' | 'f32';
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  /** 0 (or the reference 0, 0) where the emitter gives none. */
  readonly optional: boolean;
}
export interface Instruction {
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly Field[];
  /** Groups that follow, each with its own count before it. */
  readonly repeats: readonly { readonly name: string; readonly fields: readonly Field[] }[];
}

function fields(text: string): Field[] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const [name, kind] = word.split(':');
      return { name: name.replace('?', ''), kind: (kind ?? 'int') as FieldKind, optional: name.endsWith('?') };
    });
}

function row(name: string, doc: string, text: string, repeats: Record<string, string> = {}): Instruction {
  return {
    name,
    doc,
    fields: fields(text),
    repeats: Object.entries(repeats).map(([key, value]) => ({ name: key, fields: fields(value) })),
  };
}

/** How an accumulator starts: at zero, at a row vector (a bias), or at a matrix. */
export const Init = { zero: 0, row: 1, matrix: 2 } as const;
/** What the operands of a product are rounded to; sums are float32. */
export const Precision = { float32: 0, bfloat16: 1 } as const;
export const Reduction = { sum: 0, max: 1, min: 2, argmax: 3 } as const;

export const instructions = [
  row('END', 'The end of the program.', ''),
  row(
    'LOOP',
    'Runs the instructions up to the matching NEXT `count` times. After every pass each moved slot goes on by its stride; after the last one the slots are as they were before the loop. `body` is the number of integers from the end of this instruction to the end of its NEXT. count may be 0. activeRows > 0: pass p has m active rows, the i32 at activeAt + p*activeStride, held in 0..activeRows; in the body, instructions whose rows (of a CHAIN vectors / perRow, of a COPY the size of the first dimension) are activeRows do the first m rows alone, and HOLD does the others. No other loop may stand in such a body.',
    'count body activeRows? activeAt?:ref activeStride?',
    { moves: 'slot stride' },
  ),
  row('NEXT', 'The end of a loop body.', ''),
  row(
    'HOLD',
    'In a loop with active rows: rows m..rows of dst become the sums of those of the sources, added in their order; zero where there is none. A row is blocks*16 floats; block j stands at j*dstStep in dst and at j*step in a source. dst may be a source itself. No rows where none are active is legal.',
    'rows blocks dst:ref dstPitch dstStep',
    { sources: 'at:ref pitch step' },
  ),
  row(
    'PRODUCT',
    'dst[rows, blocks*16] = init + sum over segments of A_s[rows, count_s] * B_s. B is packed by PACK with the same panel and blocks; the segments follow each other along its k axis, and total is the sum of the counts. A_s element (r, k) stands at r*pitch + k*step. init: 0 zero, 1 a row of blocks*16 floats, 2 a matrix with initPitch. dst may be the init matrix itself. groups > 0: rows = groups*groupRows, and group g has only its first counts[g] rows (i32 at countsAt, held in 0..groupRows); the others stay as they are (fill 0) or become zero (fill 1). precision 1: A is rounded to bfloat16 (ties to even), B was packed so; their products are summed in float32. period P > 0: of every P blocks of B the last one is not summed over all segments. It gives two blocks, one of the first `apart` segments and one of the others, so that dst and init have P+1 blocks for P of B; panel is 1 or P, groups and precision are 0.',
    'rows blocks dst:ref dstPitch init initAt:ref initPitch packed:ref panel total groups? groupRows? countsAt?:ref fill? precision? period? apart?',
    { segments: 'at:ref pitch step count' },
  ),
  row(
    'PACK',
    'Packs B[total, cols] into panels of `panel` blocks: dst is [ceil(blocks/panel) panels][total][width*16] with width = panel but for the last panel, which has the blocks that remain. Runs follow each other along k; run element (k, n) stands at at + k*step + n*nStep. Columns from cols to blocks*16 are written as zero. panel 0: a plain vector, dst[k] = element (k, 0). precision 1: rounded to bfloat16, two k in one element, the first in its lower half: dst is [panels][ceil(total/2)][width*16], an odd last k is paired with zero; panel is not 0.',
    'dst:ref panel blocks cols nStep total precision?',
    { runs: 'at:ref step count' },
  ),
  row(
    'MATVEC',
    'dst[r] = init + sum over segments of A_s[r, :] * w_s, for r < rows; dst is contiguous, w is a vector packed by PACK with panel 0. init: 0 zero, 1 the one float at initAt, 2 the contiguous vector at initAt.',
    'rows dst:ref init initAt:ref w:ref',
    { segments: 'at:ref pitch step count' },
  ),
  row(
    'PRODUCT_TN',
    'For every segment: dst_s[cols_s, blocks*16] = A_s^T B (+ the old dst_s where accumulate is 1), with A_s[rows, cols_s] (row pitch `pitch`) and B[rows, blocks*16]. Where sums is 1, sumAt[blocks*16] = the sums of the columns of B (+ the old ones where accumulate is 1). scratch has scratchFloats floats, of which panels of up to `kBlock` rows of A and B are packed. rows may be 0. groups > 0: rows = groups*groupRows, and of group g only the first counts[g] rows are summed (i32 at countsAt, held in 0..groupRows). precision 1: A and B are rounded to bfloat16 for the products (not for sums), up to kBlock pairs of rows are packed. period P > 0: a segment with without = n > 0 leaves out the n-th of every P blocks of B (1 is the first), its dst_s has the others beside each other.',
    'rows blocks b:ref bPitch accumulate sums sumAt:ref scratch:ref kBlock scratchFloats groups? groupRows? countsAt?:ref precision? period?',
    { segments: 'at:ref pitch cols dst:ref dstPitch without?' },
  ),
  row(
    'VECTOR_TN',
    'PRODUCT_TN for a B of one column, contiguous: dst_s[c] = sum over r of A_s[r, c] * b[r] (+ old), dst_s contiguous; sums: sumAt[0] = sum of b.',
    'rows b:ref accumulate sums sumAt:ref',
    { segments: 'at:ref pitch cols dst:ref' },
  ),
  row(
    'CHAIN',
    'Runs the operations over `vectors` blocks of 16 floats, `block` of them at a time. Operands are views first, then registers (register r is operand views+r; it has block*16 floats in scratch, which stays in L1). Vector v of a flat view stands at at + v*step. perRow is the number of vectors in a row of the iteration; the loading and storing operations use it. An operation may write the view it reads.',
    'vectors perRow block registers scratch:ref',
    { views: 'at:ref step pitch cols', ops: 'op d a b c' },
  ),
  row(
    'REDUCE_LAST',
    'Reduces the last axis: element r of the result from src[r*pitch .. + cols]. Result r is written at (r / inner) * dstPitch + r % inner; argmax writes an i32: the first NaN, else the first of the greatest. cols 0: sum 0, max -inf, min +inf, argmax 0.',
    'kind rows cols src:ref pitch dst:ref inner dstPitch',
  ),
  row(
    'REDUCE_MIDDLE',
    'dst[o, v] = reduction over m < middle of src[o, m, v] for o < outer and v < blocks*16; strides in elements. middle may be 0.',
    'kind outer middle blocks src:ref outerStride middleStride dst:ref dstOuterStride',
  ),
  row(
    'COPY',
    'Copies elements: dst[sum i_d*dstStride_d] = src[sum i_d*srcStride_d] over all i_d < size_d, the last dimension innermost. Source strides may be 0 (broadcast) or negative.',
    'src:ref dst:ref',
    { dims: 'size srcStride dstStride' },
  ),
  row('FILL', 'dst[0..count) = value.', 'dst:ref count value:f32'),
  row(
    'GATHER',
    'dst[r, 0..blocks*16) = table[id_r] for r < rows; id_r is the i32 at ids + (r / inner) * idsPitch + r % inner. An id outside 0..vocabulary-1 stops the run with status 1 (and the id as detail).',
    'rows ids:ref inner idsPitch table:ref tablePitch vocabulary blocks dst:ref dstPitch',
  ),
  row(
    'SCATTER_ADD',
    'dst[vocabulary, blocks*16] = 0, then dst[id_r] += src[r] in the order of r; ids as in GATHER. blocks 0: rows of one element.',
    'rows ids:ref inner idsPitch src:ref srcPitch vocabulary blocks dst:ref dstPitch',
  ),
  row(
    'DISTINCT',
    'The distinct ids of a list, in the order in which they first stand in it: list[k] is the k-th of them, and -1 from their number on, for k < most; number[0] is their number. places[r] = k where id_r is list[k]; ids as in GATHER, places in the same rows with placesPitch. table has vocabulary integers that may be anything; afterwards the one at an id of the list is its k, all others are -1 (clear 1) or as before (clear 0). most is at least min(rows, vocabulary).',
    'rows ids:ref inner idsPitch vocabulary table:ref clear most list:ref places:ref placesPitch number:ref',
  ),
  row(
    'ONE_HOT',
    'dst[r, c] = 1 where c = id_r, else 0, for c < blocks*16 (contiguous rows of dstPitch); ids as in GATHER; an id out of range gives a row of zeros.',
    'rows ids:ref inner idsPitch depth blocks dst:ref dstPitch',
  ),
  row(
    'RANDOM',
    'dst[r*pitch + c] = uniform in [0, 1) for r < rows, c < cols: Philox4x32-10 with the two i32 at key as key and counter (i / 4, 0, stream, 0), word i % 4, i = r*cols + c; the value is (word >> 8) * 2^-24.',
    'rows cols key:ref stream dst:ref pitch',
  ),
] as const satisfies readonly Instruction[];

/**
 * Operations of a chain. `arity` counts the operands read (a, b, c). `formula` is the meaning on one element; it is what
 * the oracle of the kernels computes. Loads and stores move between a register and a view that is not flat; `pitch` and `cols` of a view are
 * for them. What the indexed ones take beside the first operand is a view.
 */
export interface ChainOperation {
  readonly name: string;
  readonly arity: number;
  readonly formula: string;
  readonly memory?: 'load' | 'store';
}

function op(name: string, arity: number, formula: string, memory?: 'load' | 'store'): ChainOperation {
  return memory ? { name, arity, formula, memory } : { name, arity, formula };
}

export const chainOperations: readonly ChainOperation[] = [
  op('MOVE', 1, 'a'),
  op('ADD', 2, 'a + b'),
  op('SUB', 2, 'a - b'),
  op('MUL', 2, 'a * b'),
  op('DIV', 2, 'a / b'),
  op('FMA', 3, 'a * b + c'),
  op('FNMA', 3, 'c - a * b'),
  op('ONE_MINUS', 1, '1 - a'),
  op('MAX', 2, 'a > b ? a : b, NaN if either is'),
  op('MIN', 2, 'a < b ? a : b, NaN if either is'),
  op('NEG', 1, '-a'),
  op('ABS', 1, '|a|'),
  op('SIGN', 1, '-1, 0 or 1'),
  op('SQUARE', 1, 'a * a'),
  op('SQRT', 1, 'sqrt(a)'),
  op('RSQRT', 1, '1 / sqrt(a)'),
  op('RECIPROCAL', 1, '1 / a'),
  op('EXP', 1, 'exp(a)'),
  op('LOG', 1, 'ln(a)'),
  op('LOG1P', 1, 'ln(1 + a)'),
  op('POW', 2, 'a ** b'),
  op('TANH', 1, 'tanh(a)'),
  op('SIGMOID', 1, '1 / (1 + exp(-a))'),
  op('DTANH', 2, 'a * (1 - b * b)'),
  op('DSIGMOID', 2, 'a * (b - b * b)'),
  op('RELU', 1, 'a > 0 ? a : 0, NaN if a is'),
  op('DRELU', 2, 'b > 0 ? a : 0'),
  op('SOFTPLUS', 1, 'ln(1 + exp(a)), without overflow'),
  op('ERF', 1, 'erf(a)'),
  op('SIN', 1, 'sin(a)'),
  op('COS', 1, 'cos(a)'),
  op('FLOOR', 1, 'floor(a)'),
  op('ROUND', 1, 'round half to even'),
  op('LESS', 2, 'a < b ? 1 : 0'),
  op('LESS_EQUAL', 2, 'a <= b ? 1 : 0'),
  op('EQUAL', 2, 'a == b ? 1 : 0'),
  op('NOT_EQUAL', 2, 'a != b ? 1 : 0'),
  op('SELECT', 3, 'a != 0 ? b : c'),
  op('IS_FINITE', 1, 'a is finite ? 1 : 0'),
  op('TO_FLOAT', 1, 'the i32 a as f32'),
  op('TO_INT', 1, 'the f32 a as i32, towards zero; saturates, NaN gives 0'),
  op('LOAD', 1, 'rows of a pitched view: vector j of row r at at + r*pitch + j*step', 'load'),
  op('LOAD_ROW', 1, 'a row vector for every row: vector j at at + j*step', 'load'),
  op('LOAD_COLUMN', 1, 'one float per row, in all lanes: at + r*pitch', 'load'),
  op('LOAD_SCALAR', 1, 'one float in all lanes: at', 'load'),
  op('STORE', 1, 'the register a into the pitched view d, the first cols floats of every row only', 'store'),
  op(
    'LOAD_INDEXED',
    2,
    'rows of a table: vector j of row r at a.at + i*pitch + j*step, where i is the i32 at b.at + r*b.pitch; zeros where i is not in 0..cols-1 of a',
    'load',
  ),
  op(
    'STORE_INDEXED',
    2,
    'the register a into rows of the table d, by the indices b as in LOAD_INDEXED; nothing where i is not in 0..cols-1 of d',
    'store',
  ),
];

export type InstructionName = (typeof instructions)[number]['name'];
export const opcodeOf: ReadonlyMap<string, number> = new Map(instructions.map((r, i) => [r.name, i]));
export const chainOpcodeOf: ReadonlyMap<string, number> = new Map(chainOperations.map((r, i) => [r.name, i]));

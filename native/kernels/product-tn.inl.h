// PRODUCT_TN and VECTOR_TN: products along the rows (weight gradients). Rows are taken kBlock at a time: B is packed into panels once for
// all segments, its columns summed on the way; A needs no transposition, its rows are packed into groups of as many columns as a
// tile has rows. Where scratch is too small even for one row, the same tiles read A and B in place.

// Blocks of B that are packed side by side: whole lines of memory are read in long runs, also where a panel is one block.
enum { PACK_BLOCKS = 4 };

/** A run of rows of a block: the first is `from`, and the block has `before` rows packed already. */
struct RowRun {
  index from;
  index count;
  index before;
};

/** Packs rows of NB blocks into panels of TILE_BLOCKS, [panel][all rows][width], and adds the sums of their columns to `sums`. */
template <int NB>
static void packPanels(const float* b, index pitch, index rows, index all, float* out, float* sums) {
  constexpr int NV = NB * BV, WIDTH = (NB < TILE_BLOCKS ? NB : (int)TILE_BLOCKS) * BV;
  vf sum[NV];
  UNROLL for (int j = 0; j < NV; j++) sum[j] = vf{};
  for (index k = 0; k < rows; k++, b += pitch, out += WIDTH * VW) {
    UNROLL for (int j = 0; j < NV; j++) {
      vf x = load(b + j * VW);
      sum[j] += x;
      store(out + (j / WIDTH * all * WIDTH + j % WIDTH) * VW, x);
    }
  }
  if (sums)
    UNROLL for (int j = 0; j < NV; j++) store(sums + j * VW, load(sums + j * VW) + sum[j]);
}

template <int NB>
INLINE void packPanelsOf(int blocks, const float* b, index pitch, index rows, index all, float* out, float* sums) {
  if (blocks == NB) packPanels<NB>(b, pitch, rows, all, out, sums);
  else if constexpr (NB > 1) packPanelsOf<NB - 1>(blocks, b, pitch, rows, all, out, sums);
}

/** The same as pairs of bfloat16: two rows become one. The sums are of what comes in. */
template <int NB>
static void packPanelPairs(const float* b, index pitch, index rows, index all, float* out, float* sums) {
  constexpr int NV = NB * BV, WIDTH = (NB < TILE_BLOCKS ? NB : (int)TILE_BLOCKS) * BV;
  vf sum[NV];
  UNROLL for (int j = 0; j < NV; j++) sum[j] = vf{};
  for (index k = 0; k < rows; k += 2, b += 2 * pitch, out += WIDTH * VW) {
    const bool both = k + 1 < rows;
    UNROLL for (int j = 0; j < NV; j++) {
      const vf x = load(b + j * VW), y = both ? load(b + pitch + j * VW) : vf{};
      sum[j] += x;
      sum[j] += y;
      store(out + (j / WIDTH * all * WIDTH + j % WIDTH) * VW, pairsOf(x, y));
    }
  }
  if (sums)
    UNROLL for (int j = 0; j < NV; j++) store(sums + j * VW, load(sums + j * VW) + sum[j]);
}

template <int NB>
INLINE void packPanelPairsOf(int blocks, const float* b, index pitch, index rows, index all, float* out, float* sums) {
  if (blocks == NB) packPanelPairs<NB>(b, pitch, rows, all, out, sums);
  else if constexpr (NB > 1) packPanelPairsOf<NB - 1>(blocks, b, pitch, rows, all, out, sums);
}

/** `all` and `run.before` count rows, of pairs where it is HALF. */
template <bool HALF>
static void packRows(const float* b, index pitch, const RowRun& run, index all, index blocks, float* out, float* sums) {
  for (index first = 0; first < blocks; first += PACK_BLOCKS) {
    const index width = blocks - first < PACK_BLOCKS ? blocks - first : (index)PACK_BLOCKS;
    const index panel = width < TILE_BLOCKS ? width : (index)TILE_BLOCKS;
    float* to = out + run.before * panel * LANES;
    const float* from = b + run.from * pitch + first * LANES;
    float* columnSums = sums ? sums + first * LANES : nullptr;
    if constexpr (HALF) packPanelPairsOf<PACK_BLOCKS>((int)width, from, pitch, run.count, all, to, columnSums);
    else packPanelsOf<PACK_BLOCKS>((int)width, from, pitch, run.count, all, to, columnSums);
    out += all * width * LANES;
  }
}

// Rows of a block at most. Where a tile is one block wide, a group of A and a panel of B should share the nearest cache.
enum { DEEPEST = TILE_BLOCKS == 1 ? 144 : 4096 };

// Columns of A in a group: as many whole tiles as fit a block.
enum { GROUP = LANES / tileRows(TILE_BLOCKS) * tileRows(TILE_BLOCKS) };

/** Packs columns of A in groups: [group][all rows][GROUP]; the last group keeps its own width. */
static void packColumns(const float* a, index pitch, const RowRun& run, index all, index cols, float* out) {
  for (index m = 0; m < cols; m += GROUP, out += all * GROUP) {
    const float* src = a + run.from * pitch + m;
    const index width = cols - m < GROUP ? cols - m : (index)GROUP;
    float* to = out + run.before * width;
    if (width == GROUP) {
      for (index k = 0; k < run.count; k++, src += pitch, to += GROUP) __builtin_memcpy(to, src, GROUP * 4);
    } else {
      for (index k = 0; k < run.count; k++, src += pitch, to += width)
        for (index i = 0; i < width; i++) to[i] = src[i];
    }
  }
}

/** The same as pairs of bfloat16: two rows become one. */
static void packColumnPairs(const float* a, index pitch, const RowRun& run, index all, index cols, float* out) {
  for (index m = 0; m < cols; m += GROUP, out += all * GROUP) {
    const float* src = a + run.from * pitch + m;
    const index width = cols - m < GROUP ? cols - m : (index)GROUP;
    float* to = out + run.before * width;
    for (index k = 0; k < run.count; k += 2, src += 2 * pitch, to += width) {
      const bool both = k + 1 < run.count;
      if (width == GROUP) {
        vf pairs[BV];
        UNROLL for (int j = 0; j < BV; j++) pairs[j] = pairsOf(load(src + j * VW), both ? load(src + pitch + j * VW) : vf{});
        __builtin_memcpy(to, pairs, GROUP * 4);
      } else {
        for (index i = 0; i < width; i++) {
          const u32 pair = roundBfloat16(src[i]) | (both ? roundBfloat16(src[pitch + i]) << 16 : 0);
          __builtin_memcpy(to + i, &pair, 4);
        }
      }
    }
  }
}

/** dst += A^T B of rounded values, with no memory to pack them in. */
static void addOuterInPlace(const float* a, index aPitch, const float* b, index bPitch, index rows, index cols, index width, float* dst, index dstPitch) {
  for (index r = 0; r < rows; r++, a += aPitch, b += bPitch)
    for (index m = 0; m < cols; m++) {
      const vf pair = pairsOf(broadcast(a[m]), vf{});
      for (index n = 0; n < width; n += VW) {
        float* to = dst + m * dstPitch + n;
        store(to, dotPairs(pair, pairsOf(load(b + n), vf{}), load(to)));
      }
    }
}

/** dst = init + A^T B for NB blocks of B; A is `cols` neighbouring columns, `step` from row to row. */
template <int NB, bool HALF>
static void transposedTiles(const float* a, index step, index rows, index cols, const Product& product) {
  constexpr int MR = tileRows(NB);
  const index parts = (cols + MR - 1) / MR, each = cols / parts, rest = cols % parts;
  Product part = product;
  Segment segment = {a, 1, step, rows};
  part.segments = &segment;
  part.segmentCount = 1;
  for (index p = 0; p < parts; p++) {
    const index n = each + (p < rest);
    tileOf<MR, NB, true, HALF>((int)n, part, 0);
    segment.at += n;
    part.dst += n * part.dstPitch;
    if (part.init) part.init += n * part.initPitch;
  }
}

template <int NB, bool HALF>
INLINE void transposedTilesOf(int blocks, const float* a, index step, index rows, index cols, const Product& product) {
  if (blocks == NB) transposedTiles<NB, HALF>(a, step, rows, cols, product);
  else if constexpr (NB > 1) transposedTilesOf<NB - 1, HALF>(blocks, a, step, rows, cols, product);
}

INLINE void zeroMatrix(float* dst, index pitch, index rows, index cols) {
  for (index r = 0; r < rows; r++)
    for (index c = 0; c < cols; c += VW) store(dst + r * pitch + c, vf{});
}

/** The rows that are summed, in blocks: all of them in blocks of about equal size, or the valid rows of groups. */
struct RowBlocks {
  index rows, groups, groupRows;
  const i32* counts;
  index depth;
  bool single;  // one run to a block, where it is read in place
  // Where the next block begins.
  index row = 0, group = 0, inGroup = 0, block = 0;

  /** Fills `runs` with the runs of the next block and gives its rows; 0 at the end. */
  index next(RowRun* runs, int most, int& count) {
    count = 0;
    if (!groups) {
      const index blocks = (rows + depth - 1) / depth;
      if (block == blocks) return 0;
      const index k = rows / blocks + (block < rows % blocks);
      runs[count++] = {row, k, 0};
      row += k;
      block++;
      return k;
    }
    index filled = 0;
    while (group < groups && filled < depth && count < most) {
      const index valid = clampCount(counts[group], groupRows), left = valid - inGroup, room = depth - filled;
      const index k = left < room ? left : room;
      if (k) runs[count++] = {group * groupRows + inGroup, k, filled};
      filled += k;
      inGroup += k;
      if (inGroup >= valid) {
        group++;
        inGroup = 0;
      }
      if (single && filled) break;
    }
    return filled;
  }
};

enum { MOST_RUNS = 512 };

/** Blocks of B of which a segment takes all, or all but one of every period. */
struct Taken {
  index period, without;

  index count(index blocks) const { return without ? blocks - blocks / period : blocks; }

  /** Runs of blocks that are taken of first..end: where they begin in B and in dst, and how many. */
  template <class F>
  void runs(index first, index end, F f) const {
    if (!without) return f(first, first, end - first);
    for (index b = first; b < end;) {
      const index inPeriod = b % period, before = inPeriod < without - 1;
      if (inPeriod == without - 1) {
        b++;
        continue;
      }
      // Up to the block that is left out, in this period or the next one.
      const index stop = b - inPeriod + without - 1 + (before ? 0 : period), to = stop < end ? stop : end;
      f(b, b - b / period - !before, to - b);
      b = to;
    }
  }
};

/** Blocks of B that are not shared out between threads. */
INLINE index unitOfTN(const i32* code) { return code[product_tn_field::period] ? code[product_tn_field::period] : 1; }

/** The units of B in `span`; panels are packed in `buffer`. HALF: as pairs of bfloat16. */
template <bool HALF>
static void productTN(const i32* code, float* const* slots, Span span, float* buffer) {
  using namespace product_tn_field;
  const index perUnit = unitOfTN(code), firstBlock = span.first * perUnit, blockCount = span.end * perUnit - firstBlock;
  const index rowCount = code[rows], bStep = code[bPitch], left = firstBlock * LANES;
  if (code[blocks] && !blockCount) return;
  const float* matrix = slots[code[b]] + code[b + 1] + left;
  const bool add = code[accumulate];
  float* columnSums = code[sums] ? slots[code[sumAt]] + code[sumAt + 1] + left : nullptr;
  const i32 count = code[segments];
  const i32* list = code + segments + 1;
  index widest = 0;
  for (i32 i = 0; i < count; i++)
    if (list[i * segments_integers + segments_cols] > widest) widest = list[i * segments_integers + segments_cols];

  if (columnSums && !add) zeroMatrix(columnSums, 0, 1, blockCount * LANES);

  // By all blocks, so that the sums of the columns do not depend on the span.
  const index perRow = code[blocks] * LANES + widest;
  index depth = perRow ? code[scratchFloats] / perRow : 1;
  const bool packed = depth > 0;
  if (depth > code[kBlock] || depth < 1) depth = code[kBlock];
  if (depth > DEEPEST) depth = DEEPEST;
  // A pair takes the place of one row. Valid rows of groups come in runs, of which each may end in half a pair.
  if (HALF && !code[groups]) depth *= 2;
  RowBlocks blocksAlong = {rowCount, code[groups], code[groupRows], (const i32*)(slots[code[countsAt]] + code[countsAt + 1]), depth, !packed};
  RowRun runs[MOST_RUNS];
  int runCount = 0;
  bool started = add;
  for (index k; (k = blocksAlong.next(runs, MOST_RUNS, runCount)) > 0; started = true) {
    const float* bBlock = matrix + runs[0].from * bStep;
    const index inRows = k;
    if constexpr (HALF) {
      k = 0;
      for (int r = 0; r < runCount; r++) {
        runs[r].before = k;
        k += (runs[r].count + 1) / 2;
      }
    }
    float* aPacked = buffer + blockCount * LANES * k;
    if (packed)
      for (int r = 0; r < runCount; r++) packRows<HALF>(matrix, bStep, runs[r], k, blockCount, buffer, columnSums);
    else if (columnSums)
      for (index r = 0; r < inRows; r++)
        for (index c = 0; c < blockCount * LANES; c += VW) store(columnSums + c, load(columnSums + c) + load(bBlock + r * bStep + c));
    for (i32 i = 0; i < count; i++) {
      const i32* s = list + i * segments_integers;
      const index aPitch = s[segments_pitch], colCount = s[segments_cols], dstStep = s[segments_dstPitch];
      const float* a = slots[s[segments_at]] + s[segments_at + 1];
      const Taken taken = {code[period], s[segments_without]};
      float* dst = slots[s[segments_dst]] + s[segments_dst + 1] + taken.count(firstBlock) * LANES;
      const float* aBlock = a + runs[0].from * aPitch;
      if (HALF && !packed) {
        if (!started) zeroMatrix(dst, dstStep, colCount, taken.count(blockCount) * LANES);
        taken.runs(0, blockCount, [&](index from, index to, index width) {
          addOuterInPlace(aBlock, aPitch, bBlock + from * LANES, bStep, inRows, colCount, width * LANES, dst + to * LANES, dstStep);
        });
        continue;
      }
      if (packed)
        for (int r = 0; r < runCount; r++) {
          if constexpr (HALF) packColumnPairs(a, aPitch, runs[r], k, colCount, aPacked);
          else packColumns(a, aPitch, runs[r], k, colCount, aPacked);
        }
      // Some panels at a time; within them a group of A stays in the nearest cache.
      for (index outer = 0; outer < blockCount; outer += PACK_BLOCKS)
        for (index m = 0; m < colCount; m += GROUP) {
          const index group = colCount - m < GROUP ? colCount - m : (index)GROUP;
          for (index first = outer; first < blockCount && first < outer + PACK_BLOCKS; first += TILE_BLOCKS) {
            const index width = blockCount - first < TILE_BLOCKS ? blockCount - first : (index)TILE_BLOCKS;
            const float* panel = packed ? buffer + first * LANES * k : bBlock + first * LANES;
            taken.runs(first, first + width, [&](index from, index to, index some) {
              Product product;
              product.packed = panel + (from - first) * LANES;
              product.width = packed ? width * LANES : bStep;
              product.dst = dst + m * dstStep + to * LANES;
              product.dstPitch = product.initPitch = dstStep;
              product.init = started ? product.dst : nullptr;
              transposedTilesOf<TILE_BLOCKS, HALF>((int)some, packed ? aPacked + m * k : aBlock + m, packed ? group : aPitch, k, group, product);
            });
          }
        }
    }
  }
  if (!started)
    for (i32 i = 0; i < count; i++) {
      const i32* s = list + i * segments_integers;
      const Taken taken = {code[period], s[segments_without]};
      float* dst = slots[s[segments_dst]] + s[segments_dst + 1] + taken.count(firstBlock) * LANES;
      zeroMatrix(dst, s[segments_dstPitch], s[segments_cols], taken.count(blockCount) * LANES);
    }
}

static void runProductTN(const i32* code, float* const* slots, Span span, float* buffer) {
  if (code[product_tn_field::precision] == precision_bfloat16) productTN<true>(code, slots, span, buffer);
  else productTN<false>(code, slots, span, buffer);
}

static void runVectorTN(const i32* code, float* const* slots) {
  using namespace vector_tn_field;
  const index rowCount = code[rows];
  const float* vector = slots[code[b]] + code[b + 1];
  const bool add = code[accumulate];
  const i32* s = code + segments + 1;
  for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
    const float* a = slots[s[segments_at]] + s[segments_at + 1];
    float* dst = slots[s[segments_dst]] + s[segments_dst + 1];
    const index pitch = s[segments_pitch], cols = s[segments_cols];
    index c = 0;
    for (; c + VW <= cols; c += VW) {
      vf sum[2] = {};
      index r = 0;
      for (; r + 2 <= rowCount; r += 2)
        UNROLL for (int q = 0; q < 2; q++) sum[q] = fma(broadcast(vector[r + q]), load(a + (r + q) * pitch + c), sum[q]);
      if (r < rowCount) sum[0] = fma(broadcast(vector[r]), load(a + r * pitch + c), sum[0]);
      vf total = sum[0] + sum[1];
      store(dst + c, add ? load(dst + c) + total : total);
    }
    for (; c < cols; c++) {
      float sum = 0;
      for (index r = 0; r < rowCount; r++) sum += vector[r] * a[r * pitch + c];
      dst[c] = add ? dst[c] + sum : sum;
    }
  }
  if (code[sums]) {
    float* at = slots[code[sumAt]] + code[sumAt + 1];
    float sum = 0;
    for (index r = 0; r < rowCount; r++) sum += vector[r];
    *at = add ? *at + sum : sum;
  }
}

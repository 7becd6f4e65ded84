// PRODUCT, PACK and MATVEC: a row-major A against packed panels of B, in tiles of accumulators.
//
// A tile is MR rows by NB blocks. NB blocks of MR rows, the blocks of B and a broadcast fit the registers of the instruction set; every
// smaller row count is instantiated, and the rows are split evenly. Panels are outside, row blocks inside, so that a panel of B stays in
// the cache nearest to the core. Each element is summed along k in order, so that the result does not depend on the split.

struct Segment {
  const float* at;
  index pitch;  // from row to row
  index step;   // from k to k
  index count;
};

struct Product {
  const Segment* segments;
  i32 segmentCount;
  const float* packed;  // the first block of the tile's columns
  index width;          // floats from k to k in packed
  const float* init;    // null: zero
  index initPitch;
  float* dst;
  index dstPitch;
  // Of every `period` blocks of B the last one is taken twice: by the first `apart` segments, and by the others. 0: no periods.
  index period = 0;
  i32 apart = 0;

  void nextPeriod(index total) {
    packed += period * total * LANES;
    dst += (period + 1) * LANES;
    if (init) init += (period + 1) * LANES;
  }
};

// Rows of a tile by blocks, chosen so that the accumulators, a row of B and a broadcast fit the registers.
#if VW == 16
enum { TILE_BLOCKS = 4 };
constexpr int tileRows(int blocks) { return blocks == 4 ? 6 : blocks == 3 ? 8 : 12; }
#elif VW == 8
enum { TILE_BLOCKS = 1 };
constexpr int tileRows(int) { return 6; }
#elif defined(__aarch64__)
enum { TILE_BLOCKS = 1 };
constexpr int tileRows(int) { return 6; }
#else
enum { TILE_BLOCKS = 1 };
constexpr int tileRows(int) { return 2; }
#endif

template <int MR, int NV>
INLINE void startSums(vf (&sum)[MR][NV], const Product& product, index row) {
  if (product.init) {
    const float* init = product.init + row * product.initPitch;
    UNROLL for (int i = 0; i < MR; i++)
      UNROLL for (int j = 0; j < NV; j++) sum[i][j] = load(init + i * product.initPitch + j * VW);
  } else {
    UNROLL for (int i = 0; i < MR; i++)
      UNROLL for (int j = 0; j < NV; j++) sum[i][j] = vf{};
  }
}

template <int MR, int NV>
INLINE void storeSums(const vf (&sum)[MR][NV], const Product& product, index row) {
  const index dstPitch = product.dstPitch;
  float* dst = product.dst + row * dstPitch;
  UNROLL for (int i = 0; i < MR; i++)
    UNROLL for (int j = 0; j < NV; j++) store(dst + i * dstPitch + j * VW, sum[i][j]);
}

/**
 * Adds one segment against NB blocks of B; gives where the next one begins in B. The last block is added to block LAST of the sums, the others
 * to their own. UNIT: the rows of A are neighbours (A transposed): pitch is 1. HALF: both sides are pairs of bfloat16, one k is a pair.
 */
template <int NB, int LAST, bool UNIT, bool HALF, int MR, int NV>
INLINE const float* addSegment(vf (&sum)[MR][NV], const Segment& segment, index row, const float* b, index width) {
  constexpr int OWN = (NB - 1) * BV;
  const index pitch = UNIT ? 1 : segment.pitch, step = segment.step;
  const float* a = segment.at + row * pitch;
  for (index k = segment.count; k > 0; k--) {
    vf columns[NB * BV];
    UNROLL for (int j = 0; j < NB * BV; j++) columns[j] = load(b + j * VW);
    b += width;
    UNROLL for (int i = 0; i < MR; i++) {
      const vf x = HALF ? broadcastPair(a + i * pitch) : broadcast(a[i * pitch]);
      UNROLL for (int j = 0; j < NB * BV; j++) {
        vf& to = sum[i][j < OWN ? j : j - OWN + LAST * BV];
        if constexpr (HALF) to = dotPairs(x, columns[j], to);
        else to = fma(x, columns[j], to);
      }
    }
    a += step;
  }
  return b;
}

template <int MR, int NB, bool UNIT, bool HALF>
static __attribute__((noinline)) void tile(const Product& product, index row) {
  vf sum[MR][NB * BV];
  startSums(sum, product, row);
  const float* b = product.packed;
  for (i32 s = 0; s < product.segmentCount; s++)
    b = addSegment<NB, NB - 1, UNIT, HALF>(sum, product.segments[s], row, b, product.width);
  storeSums(sum, product, row);
}

template <int MR, int NB, bool UNIT, bool HALF>
INLINE void tileOf(int rows, const Product& product, index row) {
  if (rows >= MR) tile<MR, NB, UNIT, HALF>(product, row);
  else if constexpr (MR > 1) tileOf<MR - 1, NB, UNIT, HALF>(rows, product, row);
}

/** Rows in as few parts of `most` as they need, of about equal size. */
template <class F>
INLINE void evenly(index rows, index most, F f) {
  const index parts = (rows + most - 1) / most, each = rows / parts, rest = rows % parts;
  index row = 0;
  for (index p = 0; p < parts; p++) {
    const int n = (int)(each + (p < rest));
    f(row, n);
    row += n;
  }
}

/** All rows against one group of NB blocks; the rows split evenly. */
template <int NB, bool UNIT, bool HALF>
static void tileColumn(const Product& product, index rows) {
  evenly(rows, tileRows(NB), [&](index row, int n) { tileOf<tileRows(NB), NB, UNIT, HALF>(n, product, row); });
}

template <int NB, bool UNIT, bool HALF>
INLINE void tileColumnOf(int blocks, const Product& product, index rows) {
  if (blocks == NB) tileColumn<NB, UNIT, HALF>(product, rows);
  else if constexpr (NB > 1) tileColumnOf<NB - 1, UNIT, HALF>(blocks, product, rows);
}

template <int KS, int NV>
INLINE void addHalf(vf (&sum)[KS][NV], const int half) {
  UNROLL for (int q = 0; q < half; q++)
    UNROLL for (int j = 0; j < NV; j++) sum[q][j] += sum[q + half][j];
}

/** One row against NV vectors: K is split so that about eight sums run side by side and hide the latency. */
template <int NV>
static __attribute__((noinline)) void rowTile(const Product& product) {
  constexpr int KS = NV >= 8 ? 1 : 8 / NV;
  vf sum[KS][NV];
  UNROLL for (int q = 0; q < KS; q++)
    UNROLL for (int j = 0; j < NV; j++) sum[q][j] = q || !product.init ? vf{} : load(product.init + j * VW);
  const float* b = product.packed;
  const index width = product.width;
  for (i32 s = 0; s < product.segmentCount; s++) {
    const Segment& segment = product.segments[s];
    const float* a = segment.at;
    const index step = segment.step;
    index k = 0;
    for (; k + KS <= segment.count; k += KS) {
      UNROLL for (int q = 0; q < KS; q++) {
        vf x = broadcast(a[q * step]);
        UNROLL for (int j = 0; j < NV; j++) sum[q][j] = fma(x, load(b + q * width + j * VW), sum[q][j]);
      }
      a += KS * step;
      b += KS * width;
    }
    for (; k < segment.count; k++) {
      vf x = broadcast(*a);
      UNROLL for (int j = 0; j < NV; j++) sum[0][j] = fma(x, load(b + j * VW), sum[0][j]);
      a += step;
      b += width;
    }
  }
  if constexpr (KS >= 8) addHalf<KS, NV>(sum, 4);
  if constexpr (KS >= 4) addHalf<KS, NV>(sum, 2);
  if constexpr (KS >= 2) addHalf<KS, NV>(sum, 1);
  float* dst = product.dst;
  UNROLL for (int j = 0; j < NV; j++) store(dst + j * VW, sum[0][j]);
}

// Blocks of one row that are done at once: eight vectors.
enum { ROW_BLOCKS = 8 / BV };

template <int NB>
INLINE void rowTileOf(int blocks, const Product& product) {
  if (blocks == NB) rowTile<NB * BV>(product);
  else if constexpr (NB > 1) rowTileOf<NB - 1>(blocks, product);
}

/** The columns of one panel, in groups of as many blocks as a tile takes. */
INLINE void panelProduct(Product product, index rows, index width, bool single) {
  const index most = single ? (index)ROW_BLOCKS : (index)TILE_BLOCKS;
  for (index done = 0; done < width;) {
    const index blocks = width - done < most ? width - done : most;
    if (single) rowTileOf<ROW_BLOCKS>((int)blocks, product);
    else tileColumnOf<TILE_BLOCKS, false, false>((int)blocks, product, rows);
    done += blocks;
    product.packed += blocks * LANES;
    product.dst += blocks * LANES;
    if (product.init) product.init += blocks * LANES;
  }
}

/** A whole period of NB blocks: its last block gives two, one of the first segments and one of the others. */
template <int MR, int NB>
static __attribute__((noinline)) void periodTile(const Product& product, index row) {
  vf sum[MR][(NB + 1) * BV];
  startSums(sum, product, row);
  const float* b = product.packed;
  i32 s = 0;
  for (; s < product.apart; s++) b = addSegment<NB, NB - 1, false, false>(sum, product.segments[s], row, b, product.width);
  for (; s < product.segmentCount; s++) b = addSegment<NB, NB, false, false>(sum, product.segments[s], row, b, product.width);
  storeSums(sum, product, row);
}

template <int MR, int NB>
INLINE void periodTileOf(int rows, const Product& product, index row) {
  if (rows >= MR) periodTile<MR, NB>(product, row);
  else if constexpr (MR > 1) periodTileOf<MR - 1, NB>(rows, product, row);
}

/** All rows against one period of NB blocks, which fits the registers; the rows split evenly. */
template <int NB>
INLINE void periodColumn(const Product& product, index rows) {
  evenly(rows, tileRows(NB + 1), [&](index row, int n) { periodTileOf<tileRows(NB + 1), NB>(n, product, row); });
}

/** `count` blocks of B that stand beside each other, against the rows. */
static void blocksProduct(Product product, index rows, index count, index most, index toNext) {
  for (index done = 0; done < count;) {
    const index some = count - done < most ? count - done : most;
    tileColumnOf<TILE_BLOCKS, false, false>((int)some, product, rows);
    done += some;
    product.packed += some * toNext;
    product.dst += some * LANES;
    if (product.init) product.init += some * LANES;
  }
}

/** Every period of B: the blocks that all segments share, and the last one, once for each part of the segments. */
static void rowsPeriods(Product product, index rows, index blocks, index panelBlocks, index total) {
  const index shared = product.period - 1, toNext = panelBlocks == 1 ? total * LANES : (index)LANES;
  const index most = panelBlocks == 1 ? 1 : (index)TILE_BLOCKS;
  const i32 apart = product.apart;
  index depth = 0;
  for (i32 s = 0; s < apart; s++) depth += product.segments[s].count;
  product.width = panelBlocks * LANES;
  for (index block = 0; block < blocks; block += product.period) {
    if constexpr (TILE_BLOCKS == 4) {
      if (shared < 3 && panelBlocks == product.period) {
        if (shared == 1) periodColumn<2>(product, rows);
        else periodColumn<3>(product, rows);
        product.nextPeriod(total);
        continue;
      }
    }
    blocksProduct(product, rows, shared, most, toNext);
    Product part = product;
    part.packed += shared * toNext;
    part.dst += shared * LANES;
    if (part.init) part.init += shared * LANES;
    part.segmentCount = apart;
    tileColumnOf<TILE_BLOCKS, false, false>(1, part, rows);
    part.packed += depth * product.width;
    part.dst += LANES;
    if (part.init) part.init += LANES;
    part.segments += apart;
    part.segmentCount = product.segmentCount - apart;
    tileColumnOf<TILE_BLOCKS, false, false>(1, part, rows);
    product.nextPeriod(total);
  }
}

/** Every panel of B against the rows, which are few enough that A stays in the second cache. */
static void rowsPanels(Product product, index rows, index blocks, index panelBlocks, index total, bool single) {
  if (product.period) return rowsPeriods(product, rows, blocks, panelBlocks, total);
  for (index block = 0; block < blocks; block += panelBlocks) {
    const index width = blocks - block < panelBlocks ? blocks - block : panelBlocks;
    product.width = width * LANES;
    panelProduct(product, rows, width, single);
    product.packed += total * width * LANES;
    product.dst += width * LANES;
    if (product.init) product.init += width * LANES;
  }
}

/** Goes on by some rows: A, init and dst. */
static void moveRows(Product& product, Segment* list, index by) {
  for (i32 i = 0; i < product.segmentCount; i++) list[i].at += by * list[i].pitch;
  product.dst += by * product.dstPitch;
  if (product.init) product.init += by * product.initPitch;
}

// Floats of A that every panel reads again: a quarter of a second cache of 1 MB.
enum { ROWS_AT_ONCE = 64 * 1024 };

static void allPanels(Product product, index rows, index blocks, index panelBlocks, index total, bool single) {
  Segment list[MAXIMUM_SEGMENTS];
  for (i32 i = 0; i < product.segmentCount; i++) list[i] = product.segments[i];
  product.segments = list;
  const index most = total > 0 && ROWS_AT_ONCE / total > 96 ? ROWS_AT_ONCE / total : 96;
  for (index done = 0; done < rows;) {
    // The last two parts are even, so that none is a single row beside full ones.
    const index rest = rows - done, part = rest <= most ? rest : rest < 2 * most ? (rest + 1) / 2 : most;
    rowsPanels(product, part, blocks, panelBlocks, total, single);
    done += part;
    if (done < rows) moveRows(product, list, part);
  }
}

// ---- A rounded to bfloat16 some rows and some k at a time, into pairs that every panel reads.

enum { HALF_ROWS = VW == 16 ? 64 : 24, HALF_PAIRS = 256 };

/** Elements `from`.. of one row of the segments, as `count` bfloat16; what lies behind the last segment is zero. */
static void roundRow(const Product& product, index row, index from, index count, u16* out) {
  for (i32 s = 0; s < product.segmentCount && count > 0; s++) {
    const Segment& segment = product.segments[s];
    if (from >= segment.count) {
      from -= segment.count;
      continue;
    }
    const index rest = segment.count - from, n = rest < count ? rest : count;
    const float* a = segment.at + row * segment.pitch + from * segment.step;
    if (segment.step == 1) roundRun(a, n, out);
    else
      for (index k = 0; k < n; k++) out[k] = (u16)roundBfloat16(a[k * segment.step]);
    out += n;
    count -= n;
    from = 0;
  }
  for (; count > 0; count--) *out++ = 0;
}

/** All panels, in bfloat16. Sums of more than HALF_PAIRS pairs go on from what dst holds. */
static __attribute__((noinline)) void halfPanels(const Product& product, index rows, index blocks, index panelBlocks, index total) {
  float buffer[HALF_ROWS * HALF_PAIRS];
  const index pairs = (total + 1) / 2, rowParts = (rows + HALF_ROWS - 1) / HALF_ROWS;
  index row = 0;
  for (index p = 0; p < rowParts; p++) {
    const index n = rows / rowParts + (p < rows % rowParts);
    index k = 0;
    do {
      const index deep = pairs - k < HALF_PAIRS ? pairs - k : (index)HALF_PAIRS;
      for (index r = 0; r < n; r++) roundRow(product, row + r, 2 * k, 2 * deep, (u16*)(buffer + r * deep));
      const Segment segment = {buffer, deep, 1, deep};
      for (index block = 0; block < blocks; block += panelBlocks) {
        const index width = blocks - block < panelBlocks ? blocks - block : panelBlocks;
        for (index done = 0; done < width; done += TILE_BLOCKS) {
          const index tiles = width - done < TILE_BLOCKS ? width - done : (index)TILE_BLOCKS, column = (block + done) * LANES;
          Product part = product;
          part.segments = &segment;
          part.segmentCount = 1;
          part.width = width * LANES;
          part.packed = product.packed + (block * pairs + k * width + done) * LANES;
          part.dst = product.dst + row * product.dstPitch + column;
          part.init = k ? part.dst : product.init ? product.init + row * product.initPitch + column : nullptr;
          if (k) part.initPitch = product.dstPitch;
          tileColumnOf<TILE_BLOCKS, false, true>((int)tiles, part, n);
        }
      }
      k += deep;
    } while (k < pairs);
    row += n;
  }
}

static void panelsOfRows(const i32* code, const Product& product, index rowCount) {
  using namespace product_field;
  if (code[precision] == precision_bfloat16) halfPanels(product, rowCount, code[blocks], code[panel], code[total]);
  // One row has a path of its own, which sums in another order: it must not depend on how many rows are done here.
  else allPanels(product, rowCount, code[blocks], code[panel], code[total], code[rows] == 1);
}

/** The rows of `span` that are valid in their groups; product stands at the first. */
static __attribute__((noinline)) void groupsProduct(const i32* code, float* const* slots, Span span, Product& product, Segment* list) {
  using namespace product_field;
  const i32* counts = (const i32*)(slots[code[countsAt]] + code[countsAt + 1]);
  const index perGroup = code[groupRows];
  index row = span.first;
  for (i32 g = 0; g < code[groups]; g++) {
    const index from = g * perGroup, middle = from + clampCount(counts[g], perGroup);
    const Span valid = within(span, {from, middle}), rest = within(span, {middle, from + perGroup});
    if (valid.first < valid.end) {
      moveRows(product, list, valid.first - row);
      row = valid.first;
      panelsOfRows(code, product, valid.end - valid.first);
    }
    if (code[fill])
      for (index r = rest.first; r < rest.end; r++) zeroRow(product.dst + (r - row) * product.dstPitch, code[blocks], LANES);
  }
}

static void runProduct(const i32* code, float* const* slots, Span span) {
  using namespace product_field;
  const index blockCount = code[blocks];
  if (span.first == span.end || !blockCount) return;
  Segment list[MAXIMUM_SEGMENTS];
  const i32 count = code[segments];
  const i32* s = code + segments + 1;
  for (i32 i = 0; i < count; i++, s += segments_integers)
    list[i] = {slots[s[segments_at]] + s[segments_at + 1], s[segments_pitch], s[segments_step], s[segments_count]};
  Product product;
  product.segments = list;
  product.segmentCount = count;
  product.packed = slots[code[packed]] + code[packed + 1];
  product.init = code[init] == init_zero ? nullptr : slots[code[initAt]] + code[initAt + 1];
  product.initPitch = code[init] == init_matrix ? code[initPitch] : 0;
  product.dst = slots[code[dst]] + code[dst + 1];
  product.dstPitch = code[dstPitch];
  product.period = code[period];
  product.apart = code[apart];
  if (span.first) moveRows(product, list, span.first);
  if (code[groups]) return groupsProduct(code, slots, span, product, list);
  panelsOfRows(code, product, span.end - span.first);
}

INLINE index panelsOf(const i32* code) {
  using namespace pack_field;
  return code[panel] ? ((index)code[blocks] + code[panel] - 1) / code[panel] : 1;
}

/** The panels of `span` as pairs of bfloat16: two k stand together, also where they belong to two runs. */
static void packPairs(const i32* code, float* const* slots, Span span) {
  using namespace pack_field;
  const index blockCount = code[blocks], colCount = code[cols], across = code[nStep], pairs = ((index)code[total] + 1) / 2;
  for (index p = span.first; p < span.end; p++) {
    const index firstBlock = p * code[panel], rest = blockCount - firstBlock, first = firstBlock * LANES;
    const index width = (rest < code[panel] ? rest : (index)code[panel]) * LANES;
    const index used = colCount - first < 0 ? 0 : colCount - first < width ? colCount - first : width;
    float* out = slots[code[dst]] + code[dst + 1] + first * pairs;
    const i32* run = code + runs + 1;
    index k = 0;
    const auto put = [&](index at, index n, float x) { ((u16*)(out + at / 2 * width + n))[at % 2] = (u16)roundBfloat16(x); };
    for (i32 i = 0; i < code[runs]; i++, run += runs_integers) {
      const float* src = slots[run[runs_at]] + run[runs_at + 1] + first * across;
      const index step = run[runs_step], length = run[runs_count];
      if (across == 1) {
        for (index done = 0; done < length;) {
          const float* row = src + done * step;
          index n = 0;
          if (k % 2 || done + 1 == length) {
            for (; n < used; n++) put(k, n, row[n]);
            for (; n < width; n++) put(k, n, 0);
            done++;
            k++;
            continue;
          }
          float* to = out + k / 2 * width;
          for (; n + VW <= used; n += VW) store(to + n, pairsOf(load(row + n), load(row + step + n)));
          for (; n < width; n++) {
            put(k, n, n < used ? row[n] : 0);
            put(k + 1, n, n < used ? row[step + n] : 0);
          }
          done += 2;
          k += 2;
        }
      } else {
        // Sixteen k at a time, so that a line of the source that runs along k is used whole.
        for (index k0 = 0; k0 < length; k0 += LANES) {
          const index depth = length - k0 < LANES ? length - k0 : (index)LANES;
          for (index n = 0; n < width; n++)
            for (index d = 0; d < depth; d++) put(k + d, n, n < used ? src[(k0 + d) * step + n * across] : 0);
          k += depth;
        }
      }
    }
    if (k % 2)
      for (index n = 0; n < width; n++) put(k, n, 0);
  }
}

/** The panels of `span`; a plain vector is one panel. */
static void runPack(const i32* code, float* const* slots, Span span) {
  using namespace pack_field;
  if (code[precision] == precision_bfloat16) return packPairs(code, slots, span);
  float* out = slots[code[dst]] + code[dst + 1];
  const index panelBlocks = code[panel], blockCount = code[blocks], colCount = code[cols], across = code[nStep];
  const i32 count = code[runs];
  const index all = panelBlocks ? blockCount * LANES : 1, each = panelBlocks ? panelBlocks * LANES : 1;
  const index columns = span.end * each < all ? span.end * each : all;
  out += span.first * each * code[total];
  for (index first = span.first * each; first < columns;) {
    const index rest = columns - first, width = each < rest ? each : rest;
    const index used = colCount - first < 0 ? 0 : colCount - first < width ? colCount - first : width;
    const i32* run = code + runs + 1;
    for (i32 i = 0; i < count; i++, run += runs_integers) {
      const float* src = slots[run[runs_at]] + run[runs_at + 1] + first * across;
      const index step = run[runs_step], length = run[runs_count];
      if (!panelBlocks) {
        for (index k = 0; k < length; k++) *out++ = src[k * step];
      } else if (across == 1) {
        for (index k = 0; k < length; k++, src += step, out += width) {
          index n = 0;
          for (; n + VW <= used; n += VW) store(out + n, load(src + n));
          for (; n < used; n++) out[n] = src[n];
          for (; n < width; n++) out[n] = 0;
        }
      } else {
        // Sixteen k at a time, so that a line of the source that runs along k is used whole.
        for (index k0 = 0; k0 < length; k0 += LANES) {
          const index depth = length - k0 < LANES ? length - k0 : (index)LANES;
          for (index n = 0; n < used; n++)
            for (index k = 0; k < depth; k++) out[k * width + n] = src[(k0 + k) * step + n * across];
          for (index k = 0; k < depth; k++)
            for (index n = used; n < width; n++) out[k * width + n] = 0;
          out += depth * width;
        }
      }
    }
    first += width;
  }
}

/** Sum of a[k*step] * w[k]. */
INLINE float dot(const float* a, index step, const float* w, index count) {
  index k = 0;
  float sum = 0;
  if (step == 1) {
    vf part[4] = {};
    for (; k + 4 * VW <= count; k += 4 * VW)
      UNROLL for (int q = 0; q < 4; q++) part[q] = fma(load(a + k + q * VW), load(w + k + q * VW), part[q]);
    for (; k + VW <= count; k += VW) part[0] = fma(load(a + k), load(w + k), part[0]);
    sum = sumLanes((part[0] + part[1]) + (part[2] + part[3]));
  }
  for (; k < count; k++) sum += a[k * step] * w[k];
  return sum;
}

static void runMatvec(const i32* code, float* const* slots, Span span) {
  using namespace matvec_field;
  float* out = slots[code[dst]] + code[dst + 1];
  const float* start = code[init] == init_zero ? nullptr : slots[code[initAt]] + code[initAt + 1];
  const index startStep = code[init] == init_matrix;
  for (index r = span.first; r < span.end; r++) {
    const float* w = slots[code[matvec_field::w]] + code[matvec_field::w + 1];
    float sum = start ? start[r * startStep] : 0;
    const i32* s = code + segments + 1;
    for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
      sum += dot(slots[s[segments_at]] + s[segments_at + 1] + r * s[segments_pitch], s[segments_step], w, s[segments_count]);
      w += s[segments_count];
    }
    out[r] = sum;
  }
}

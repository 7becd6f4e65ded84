// COPY, FILL, GATHER, SCATTER_ADD, DISTINCT, ONE_HOT, RANDOM. Elements are moved as bits, so that integers come through as they are.

INLINE void copyRun(i32* dst, const i32* src, index count) {
  index i = 0;
  for (; i + VW <= count; i += VW) *(vi*)(dst + i) = *(const vi*)(src + i);
  for (; i < count; i++) dst[i] = src[i];
}

/** Sixteen elements of four rows become columns. */
INLINE void transposeFour(i32* dst, index dstPitch, const i32* src, index srcPitch) {
  const vi4 a = *(const vi4*)src, b = *(const vi4*)(src + srcPitch);
  const vi4 c = *(const vi4*)(src + 2 * srcPitch), d = *(const vi4*)(src + 3 * srcPitch);
  const vi4 ab = SHUFFLE4(a, b, 0, 4, 1, 5), cd = SHUFFLE4(c, d, 0, 4, 1, 5);
  const vi4 AB = SHUFFLE4(a, b, 2, 6, 3, 7), CD = SHUFFLE4(c, d, 2, 6, 3, 7);
  *(vi4*)dst = SHUFFLE4(ab, cd, 0, 1, 4, 5);
  *(vi4*)(dst + dstPitch) = SHUFFLE4(ab, cd, 2, 3, 6, 7);
  *(vi4*)(dst + 2 * dstPitch) = SHUFFLE4(AB, CD, 0, 1, 4, 5);
  *(vi4*)(dst + 3 * dstPitch) = SHUFFLE4(AB, CD, 2, 3, 6, 7);
}

/** dst[i * dstPitch + j] = src[j * srcPitch + i] for i < rows, j < cols; squares of 16, so that the lines of both are used whole. */
static void copyTransposed(i32* dst, index dstPitch, const i32* src, index srcPitch, index rows, index cols) {
  const index fullRows = rows / 4 * 4, fullCols = cols / 4 * 4;
  for (index i0 = 0; i0 < fullRows; i0 += LANES)
    for (index j0 = 0; j0 < fullCols; j0 += LANES) {
      const index iEnd = i0 + LANES < fullRows ? i0 + LANES : fullRows, jEnd = j0 + LANES < fullCols ? j0 + LANES : fullCols;
      for (index i = i0; i < iEnd; i += 4)
        for (index j = j0; j < jEnd; j += 4) transposeFour(dst + i * dstPitch + j, dstPitch, src + j * srcPitch + i, srcPitch);
    }
  for (index i = 0; i < rows; i++)
    for (index j = i < fullRows ? fullCols : 0; j < cols; j++) dst[i * dstPitch + j] = src[j * srcPitch + i];
}

static void copyDimensions(const i32* dims, i32 count, const i32* src, i32* dst, index size) {
  using namespace copy_field;
  if (!count) {
    *dst = *src;
    return;
  }
  const index from = dims[dims_srcStride], to = dims[dims_dstStride];
  if (count > 1) {
    const i32* inner = dims + dims_integers;
    if (count == 2 && from == 1 && inner[dims_dstStride] == 1 && inner[dims_srcStride] != 1)
      return copyTransposed(dst, to, src, inner[dims_srcStride], size, inner[dims_size]);
    for (index i = 0; i < size; i++) copyDimensions(inner, count - 1, src + i * from, dst + i * to, inner[dims_size]);
  } else if (from == 1 && to == 1) {
    copyRun(dst, src, size);
  } else if (to == 1) {
    for (index i = 0; i < size; i++) dst[i] = src[i * from];
  } else {
    for (index i = 0; i < size; i++) dst[i * to] = src[i * from];
  }
}

/** The size of the first dimension: 1 where there is none. */
INLINE index copyRows(const i32* code) {
  using namespace copy_field;
  return code[dims] ? code[dims + 1 + dims_size] : 1;
}

static void runCopy(const i32* code, float* const* slots, Span span) {
  using namespace copy_field;
  const i32* first = code + dims + 1;
  const i32* from = (const i32*)(slots[code[src]] + code[src + 1]);
  i32* to = (i32*)(slots[code[dst]] + code[dst + 1]);
  if (span.first) {
    from += span.first * first[dims_srcStride];
    to += span.first * first[dims_dstStride];
  }
  copyDimensions(first, code[dims], from, to, span.end - span.first);
}

static void runFill(const i32* code, float* const* slots, Span span) {
  using namespace fill_field;
  i32* to = (i32*)(slots[code[dst]] + code[dst + 1]);
  const i32 word = code[value];
  for (index i = span.first; i < span.end; i++) to[i] = word;
}

/** Walks the ids of `span`, which stand in rows of `inner`. */
template <class F>
INLINE void eachId(const i32* ids, Span span, index inner, index pitch, F f) {
  ids += span.first / inner * pitch;
  for (index r = span.first, i = r % inner; r < span.end; r++, i++) {
    if (i == inner) {
      i = 0;
      ids += pitch;
    }
    f(r, ids[i]);
  }
}

INLINE const i32* idsOf(const i32* code, float* const* slots, int field) {
  return (const i32*)(slots[code[field]] + code[field + 1]);
}

/** The first id outside 0..vocabulary-1: true, and the id. */
static bool findBadId(const i32* ids, index rows, index inner, index pitch, i32 vocabulary, i32& bad) {
  bool found = false;
  eachId(ids, {0, rows}, inner, pitch, [&](index, i32 id) {
    if (!found && (id < 0 || id >= vocabulary)) {
      found = true;
      bad = id;
    }
  });
  return found;
}

/** The rows of `span`. False and the id where one of all rows is out of range; nothing is written then. */
static bool runGather(const i32* code, float* const* slots, Span span, i32& bad) {
  using namespace gather_field;
  const i32* from = idsOf(code, slots, ids);
  if (findBadId(from, code[rows], code[inner], code[idsPitch], code[vocabulary], bad)) return false;
  const float* source = slots[code[table]] + code[table + 1];
  float* to = slots[code[dst]] + code[dst + 1];
  const index width = (index)code[blocks] * LANES, step = code[tablePitch], pitch = code[dstPitch];
  eachId(from, span, code[inner], code[idsPitch], [&](index r, i32 id) {
    const float* row = source + id * step;
    for (index c = 0; c < width; c += VW) store(to + r * pitch + c, load(row + c));
  });
  return true;
}

/** The blocks of `span`; ids as in GATHER. */
static bool runScatterAdd(const i32* code, float* const* slots, Span span, i32& bad) {
  using namespace scatter_add_field;
  const i32* from = idsOf(code, slots, ids);
  if (findBadId(from, code[rows], code[inner], code[idsPitch], code[vocabulary], bad)) return false;
  const float* source = slots[code[src]] + code[src + 1] + span.first * LANES;
  float* to = slots[code[dst]] + code[dst + 1] + span.first * LANES;
  const index width = (span.end - span.first) * LANES, step = code[srcPitch], pitch = code[dstPitch];
  for (index v = 0; v < code[vocabulary]; v++)
    for (index c = 0; c < width; c += VW) store(to + v * pitch + c, vf{});
  if (!code[blocks]) {
    for (index v = 0; v < code[vocabulary]; v++) to[v * pitch] = 0;
    eachId(from, {0, code[rows]}, code[inner], code[idsPitch], [&](index r, i32 id) { to[id * pitch] += source[r * step]; });
    return true;
  }
  if (!width) return true;
  eachId(from, {0, code[rows]}, code[inner], code[idsPitch], [&](index r, i32 id) {
    float* row = to + id * pitch;
    for (index c = 0; c < width; c += VW) store(row + c, load(row + c) + load(source + r * step + c));
  });
  return true;
}

/**
 * What stands in the table means something only where the list agrees (Briggs and Torczon, "An efficient representation for sparse sets",
 * 1993), so that it need not be cleared. Ids as in GATHER.
 */
static bool runDistinct(const i32* code, float* const* slots, i32& bad) {
  using namespace distinct_field;
  const i32* from = idsOf(code, slots, ids);
  if (findBadId(from, code[rows], code[inner], code[idsPitch], code[vocabulary], bad)) return false;
  i32* const where = (i32*)(slots[code[table]] + code[table + 1]);
  i32* const found = (i32*)(slots[code[list]] + code[list + 1]);
  i32* const to = (i32*)(slots[code[places]] + code[places + 1]);
  const index across = code[inner], pitch = code[placesPitch];
  i32 count = 0;
  if (code[clear])
    for (index v = 0; v < code[vocabulary]; v++) where[v] = -1;
  eachId(from, {0, code[rows]}, across, code[idsPitch], [&](index r, i32 id) {
    i32 k = where[id];
    if (k < 0 || k >= count || found[k] != id) {
      // More than there is room for come only from a program whose memories overlap.
      k = where[id] = count < code[most] ? count++ : 0;
      found[k] = id;
    }
    to[r / across * pitch + r % across] = k;
  });
  *(i32*)(slots[code[number]] + code[number + 1]) = count;
  for (index k = count; k < code[most]; k++) found[k] = -1;
  return true;
}

static void runOneHot(const i32* code, float* const* slots, Span span) {
  using namespace one_hot_field;
  float* to = slots[code[dst]] + code[dst + 1];
  const index width = (index)code[blocks] * LANES, pitch = code[dstPitch];
  const i32 classes = code[depth];
  eachId(idsOf(code, slots, ids), span, code[inner], code[idsPitch], [&](index r, i32 id) {
    for (index c = 0; c < width; c += VW) store(to + r * pitch + c, vf{});
    if (id >= 0 && id < classes) to[r * pitch + id] = 1;
  });
}

/** Counters that one call of philox draws from: one a lane of 64 bits. */
enum { COUNTERS = VW / 2, DRAWN = 4 * COUNTERS };

/** Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Uniform numbers in [0, 1), four a counter, in order. */
INLINE void philox(u32 k0, u32 k1, u32 first, u32 stream, float* out) {
  vl c0, c1 = {}, c2 = vl{} + stream, c3 = {};
  for (int q = 0; q < COUNTERS; q++) c0[q] = first + (u32)q;
  for (int round = 0; round < 10; round++) {
    const vl a = wideProduct(c0, 0xD2511F53u), b = wideProduct(c2, 0xCD9E8D57u);
    c0 = (b >> 32) ^ c1 ^ (u64)k0;
    c2 = (a >> 32) ^ c3 ^ (u64)k1;
    c1 = b;
    c3 = a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  // The upper 24 bits of each word; the high halves of the lanes hold no words.
  const auto upper = [](vl word) { return (word & 0xffffffffu) >> 8; };
  const vf scale = broadcast(5.9604644775390625e-8f);
  const vf low = toFloat((vi)(upper(c0) | upper(c1) << 32)) * scale, high = toFloat((vi)(upper(c2) | upper(c3) << 32)) * scale;
  for (int q = 0; q < COUNTERS; q++) {
    out[4 * q] = low[2 * q];
    out[4 * q + 1] = low[2 * q + 1];
    out[4 * q + 2] = high[2 * q];
    out[4 * q + 3] = high[2 * q + 1];
  }
}

static void runRandom(const i32* code, float* const* slots, Span span) {
  using namespace random_field;
  const i32* seed = idsOf(code, slots, key);
  float* to = slots[code[dst]] + code[dst + 1];
  const index width = code[cols];
  float drawn[DRAWN];
  // Element i is at i % DRAWN of the draw i / DRAWN, whatever row it stands in.
  u32 i = (u32)(span.first * width), there = ~0u;
  for (index r = span.first; r < span.end; r++) {
    float* row = to + r * code[pitch];
    for (index c = 0; c < width;) {
      const u32 draw = i / DRAWN, from = i % DRAWN;
      if (draw != there) philox((u32)seed[0], (u32)seed[1], draw * COUNTERS, (u32)code[stream], drawn);
      there = draw;
      const index left = (index)(DRAWN - from), count = left < width - c ? left : width - c;
      for (index k = 0; k < count; k++) row[c + k] = drawn[from + k];
      c += count;
      i += (u32)count;
    }
  }
}

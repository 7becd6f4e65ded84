// PRODUCT_TN and VECTOR_TN: products along the rows (weight gradients). Rows are taken kBlock at a time: B is packed into panels once for
// all segments, its columns summed on the way; A needs no transposition, its rows are packed into groups of as many columns as a
// tile has rows. Where scratch is too small even for one row, the same tiles read A and B in place.

/** Packs a panel of NB blocks, [rows][NB*16], and adds the sums of its columns to `sums`. */
template <int NB>
static void packPanel(const float* b, index pitch, index rows, float* out, float* sums) {
  constexpr int NV = NB * BV;
  vf sum[NV];
  UNROLL for (int j = 0; j < NV; j++) sum[j] = vf{};
  for (index k = 0; k < rows; k++, b += pitch, out += NV * VW) {
    UNROLL for (int j = 0; j < NV; j++) {
      vf x = load(b + j * VW);
      sum[j] += x;
      store(out + j * VW, x);
    }
  }
  if (sums)
    UNROLL for (int j = 0; j < NV; j++) store(sums + j * VW, load(sums + j * VW) + sum[j]);
}

template <int NB>
INLINE void packPanelOf(int blocks, const float* b, index pitch, index rows, float* out, float* sums) {
  if (blocks == NB) packPanel<NB>(b, pitch, rows, out, sums);
  else if constexpr (NB > 1) packPanelOf<NB - 1>(blocks, b, pitch, rows, out, sums);
}

/** Packs `rows` rows of B into panels of TILE_BLOCKS blocks, [panel][rows][width]. */
static void packRows(const float* b, index pitch, index rows, index blocks, float* out, float* sums) {
  for (index first = 0; first < blocks; first += TILE_BLOCKS) {
    const index width = blocks - first < TILE_BLOCKS ? blocks - first : (index)TILE_BLOCKS;
    packPanelOf<TILE_BLOCKS>((int)width, b + first * LANES, pitch, rows, out, sums ? sums + first * LANES : nullptr);
    out += rows * width * LANES;
  }
}

/** Packs columns of A in groups of MR: [group][rows][MR]; the last group keeps its own width. */
template <int MR>
static void packColumns(const float* a, index pitch, index rows, index cols, float* out) {
  for (index m = 0; m < cols; m += MR) {
    const float* src = a + m;
    if (m + MR <= cols) {
      for (index k = 0; k < rows; k++, src += pitch, out += MR)
        UNROLL for (int i = 0; i < MR; i++) out[i] = src[i];
    } else {
      const index width = cols - m;
      for (index k = 0; k < rows; k++, src += pitch, out += width)
        for (index i = 0; i < width; i++) out[i] = src[i];
    }
  }
}

template <int NB>
static void transposedPanel(const float* a, index aPitch, bool packed, index groupRows, index rows, index cols, Product product) {
  for (index m = 0; m < cols; m += groupRows) {
    const index group = cols - m < groupRows ? cols - m : groupRows;
    constexpr int MR = tileRows(NB);
    // A group may be wider than the tile for this number of blocks.
    for (index r = 0; r < group;) {
      const index parts = (group - r + MR - 1) / MR, n = (group - r + parts - 1) / parts;
      Segment segment = {packed ? a + m * rows + r : a + m + r, 1, packed ? group : aPitch, rows};
      product.segments = &segment;
      Product part = product;
      part.dst += (m + r) * product.dstPitch;
      if (part.init) part.init += (m + r) * product.initPitch;
      tileOf<MR, NB, true>((int)n, part, 0);
      r += n;
    }
  }
}

template <int NB>
INLINE void transposedPanelOf(int blocks, const float* a, index aPitch, bool packed, index groupRows, index rows, index cols, const Product& product) {
  if (blocks == NB) transposedPanel<NB>(a, aPitch, packed, groupRows, rows, cols, product);
  else if constexpr (NB > 1) transposedPanelOf<NB - 1>(blocks, a, aPitch, packed, groupRows, rows, cols, product);
}

INLINE void zeroMatrix(float* dst, index pitch, index rows, index cols) {
  for (index r = 0; r < rows; r++)
    for (index c = 0; c < cols; c += VW) store(dst + r * pitch + c, vf{});
}

static void runProductTN(const i32* code, float* const* slots) {
  using namespace product_tn_field;
  const index rowCount = code[rows], blockCount = code[blocks], bStep = code[bPitch];
  const float* matrix = slots[code[b]] + code[b + 1];
  const bool add = code[accumulate];
  float* columnSums = code[sums] ? slots[code[sumAt]] + code[sumAt + 1] : nullptr;
  float* buffer = slots[code[scratch]] + code[scratch + 1];
  const i32 count = code[segments];
  const i32* list = code + segments + 1;
  index widest = 0;
  for (i32 i = 0; i < count; i++)
    if (list[i * segments_integers + segments_cols] > widest) widest = list[i * segments_integers + segments_cols];

  if (columnSums && !add) zeroMatrix(columnSums, 0, 1, blockCount * LANES);
  if (!rowCount && !add)
    for (i32 i = 0; i < count; i++) {
      const i32* s = list + i * segments_integers;
      zeroMatrix(slots[s[segments_dst]] + s[segments_dst + 1], s[segments_dstPitch], s[segments_cols], blockCount * LANES);
    }

  const index perRow = blockCount * LANES + widest;
  index depth = perRow ? code[scratchFloats] / perRow : 1;
  const bool packed = depth > 0;
  if (depth > code[kBlock] || depth < 1) depth = code[kBlock];
  // Blocks of about equal size.
  const index blocksAlong = (rowCount + depth - 1) / depth;
  constexpr index groupRows = tileRows(TILE_BLOCKS);
  for (index n = 0, k0 = 0; n < blocksAlong; n++) {
    const index k = rowCount / blocksAlong + (n < rowCount % blocksAlong);
    const float* bBlock = matrix + k0 * bStep;
    float* aPacked = buffer + blockCount * LANES * k;
    if (packed) packRows(bBlock, bStep, k, blockCount, buffer, columnSums);
    else if (columnSums)
      for (index r = 0; r < k; r++)
        for (index c = 0; c < blockCount * LANES; c += VW) store(columnSums + c, load(columnSums + c) + load(bBlock + r * bStep + c));
    for (i32 i = 0; i < count; i++) {
      const i32* s = list + i * segments_integers;
      const index aPitch = s[segments_pitch], colCount = s[segments_cols];
      const float* a = slots[s[segments_at]] + s[segments_at + 1] + k0 * aPitch;
      if (packed) packColumns<groupRows>(a, aPitch, k, colCount, aPacked);
      Product product;
      product.segmentCount = 1;
      product.dstPitch = product.initPitch = s[segments_dstPitch];
      for (index first = 0; first < blockCount; first += TILE_BLOCKS) {
        const index width = blockCount - first < TILE_BLOCKS ? blockCount - first : (index)TILE_BLOCKS;
        product.packed = packed ? buffer + first * LANES * k : bBlock + first * LANES;
        product.width = packed ? width * LANES : bStep;
        product.dst = slots[s[segments_dst]] + s[segments_dst + 1] + first * LANES;
        product.init = add || n ? product.dst : nullptr;
        transposedPanelOf<TILE_BLOCKS>((int)width, packed ? aPacked : a, aPitch, packed, groupRows, k, colCount, product);
      }
    }
    k0 += k;
  }
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

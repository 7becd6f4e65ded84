// Loops whose rows are ordered by length: which rows of a step are computed, and what becomes of the others.

/** Rows of the loop that runs now: instructions of `all` rows do the first `now`. */
struct Active {
  index all;
  index now;
  index of(index rows) const { return rows == all ? now : rows; }
};

constexpr Active allRows = {-1, 0};

INLINE index clampCount(i32 count, index most) { return count < 0 ? 0 : count < most ? count : most; }

INLINE void zeroRow(float* row, index blocks, index step) {
  for (index j = 0; j < blocks; j++, row += step)
    UNROLL for (int i = 0; i < BV; i++) store(row + i * VW, vf{});
}

static void runHold(const i32* code, float* const* slots, const Active& active) {
  using namespace hold_field;
  const index blockCount = code[blocks], to = code[dstPitch], step = code[dstStep], from = code[srcPitch];
  float* target = slots[code[dst]] + code[dst + 1];
  const float* source = slots[code[src]] + code[src + 1];
  for (index r = active.of(code[rows]); r < code[rows]; r++) {
    float* row = target + r * to;
    if (!code[kind]) {
      zeroRow(row, blockCount, step);
      continue;
    }
    for (index j = 0; j < blockCount; j++)
      UNROLL for (int i = 0; i < BV; i++) store(row + j * step + i * VW, load(source + r * from + j * LANES + i * VW));
  }
}

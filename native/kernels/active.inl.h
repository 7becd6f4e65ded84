// Which rows (or blocks, vectors) of an instruction are done: all of them, the share of a thread, and in loops whose rows are ordered by
// length those that are active.

struct Span {
  index first;
  index end;
};

INLINE Span within(Span a, Span b) {
  const index first = a.first > b.first ? a.first : b.first, end = a.end < b.end ? a.end : b.end;
  return {first, end < first ? first : end};
}

/** Rows of the loop that runs now: instructions of `all` rows do those of `now`, and hold those of `rest`. */
struct Active {
  index all;
  Span now;
  Span rest;
  Span of(index rows) const { return rows == all ? now : Span{0, rows}; }
  Span held(index rows) const { return rows == all ? rest : Span{0, 0}; }
  Span vectors(index count, index perRow) const {
    return all > 0 && count == perRow * all ? Span{perRow * now.first, perRow * now.end} : Span{0, count};
  }
};

constexpr Active allRows = {-1, {0, 0}, {0, 0}};

INLINE index clampCount(i32 count, index most) { return count < 0 ? 0 : count < most ? count : most; }

INLINE void zeroRow(float* row, index blocks, index step) {
  for (index j = 0; j < blocks; j++, row += step)
    UNROLL for (int i = 0; i < BV; i++) store(row + i * VW, vf{});
}

static void runHold(const i32* code, float* const* slots, Span held) {
  using namespace hold_field;
  const index blockCount = code[blocks], to = code[dstPitch], step = code[dstStep];
  const i32 count = code[sources];
  float* target = slots[code[dst]] + code[dst + 1];
  for (index r = held.first; r < held.end; r++) {
    float* row = target + r * to;
    if (!count) {
      zeroRow(row, blockCount, step);
      continue;
    }
    // A block at a time, so that the target may be one of the sources.
    for (index j = 0; j < blockCount; j++) {
      const i32* s = code + sources + 1;
      vf sum[BV] = {};
      for (i32 n = 0; n < count; n++, s += sources_integers) {
        const float* from = slots[s[sources_at]] + s[sources_at + 1] + r * s[sources_pitch] + j * s[sources_step];
        UNROLL for (int i = 0; i < BV; i++) sum[i] = n ? sum[i] + load(from + i * VW) : load(from + i * VW);
      }
      UNROLL for (int i = 0; i < BV; i++) store(row + j * step + i * VW, sum[i]);
    }
  }
}

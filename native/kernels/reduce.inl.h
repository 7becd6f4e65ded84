// REDUCE_LAST and REDUCE_MIDDLE. A NaN comes through every kind; argmax gives the first NaN, else the first of the greatest.

INLINE vf combine(int kind, vf a, vf b) {
  if (kind == reduce_sum) return a + b;
  return kind == reduce_max ? select((a > b) | (a != a), a, b) : select((a < b) | (a != a), a, b);
}
INLINE float combine(int kind, float a, float b) {
  if (kind == reduce_sum) return a + b;
  if (a != a) return a;
  return kind == reduce_max ? (a > b ? a : b) : a < b ? a : b;
}
INLINE float neutral(int kind) {
  return kind == reduce_sum ? 0 : kind == reduce_max ? -__builtin_inff() : __builtin_inff();
}
INLINE bool beats(float x, float best) { return x > best || (x != x && best == best); }

static float reduceRow(int kind, const float* src, index cols) {
  float result = neutral(kind);
  index c = 0;
  if (cols >= VW) {
    vf part[4];
    UNROLL for (int q = 0; q < 4; q++) part[q] = broadcast(neutral(kind));
    for (; c + 4 * VW <= cols; c += 4 * VW)
      UNROLL for (int q = 0; q < 4; q++) part[q] = combine(kind, part[q], load(src + c + q * VW));
    for (; c + VW <= cols; c += VW) part[0] = combine(kind, part[0], load(src + c));
    vf all = combine(kind, combine(kind, part[0], part[1]), combine(kind, part[2], part[3]));
    float lanes[VW];
    __builtin_memcpy(lanes, &all, sizeof lanes);
    for (int half = VW / 2; half; half /= 2)
      for (int i = 0; i < half; i++) lanes[i] = combine(kind, lanes[i], lanes[i + half]);
    result = lanes[0];
  }
  for (; c < cols; c++) result = combine(kind, result, src[c]);
  return result;
}

static void runReduceLast(const i32* code, float* const* slots, Span span) {
  using namespace reduce_last_field;
  const int how = code[kind];
  const index colCount = code[cols], srcPitch = code[pitch], innerCount = code[inner];
  const float* from = slots[code[src]] + code[src + 1] + span.first * srcPitch;
  float* to = slots[code[dst]] + code[dst + 1];
  for (index r = span.first, outer = r / innerCount, start = r % innerCount; r < span.end; outer++, start = 0)
    for (index i = start; i < innerCount && r < span.end; i++, r++, from += srcPitch) {
      float* at = to + outer * code[dstPitch] + i;
      if (how == reduce_argmax) {
        i32 best = 0;
        for (index c = 1; c < colCount; c++)
          if (beats(from[c], from[best])) best = (i32)c;
        *(i32*)at = best;
      } else if (how == reduce_sum) *at = reduceRow(reduce_sum, from, colCount);
      else if (how == reduce_max) *at = reduceRow(reduce_max, from, colCount);
      else *at = reduceRow(reduce_min, from, colCount);
    }
}

template <int KIND>
INLINE void reduceColumns(const float* src, index middle, index stride, float* dst) {
  if constexpr (KIND == reduce_argmax) {
    vf best = middle ? load(src) : vf{};
    vi place = vi{};
    for (index m = 1; m < middle; m++) {
      vf x = load(src + m * stride);
      vi better = (x > best) | ((x != x) & (best == best));
      best = select(better, x, best);
      place = better ? broadcast((i32)m) : place;
    }
    store(dst, asFloats(place));
  } else {
    // Sums in two levels, so that the rounding of a long one grows with the root of its length.
    vf all = broadcast(neutral(KIND));
    for (index m = 0; m < middle;) {
      const index end = middle - m < 64 ? middle : m + 64;
      vf part = broadcast(neutral(KIND));
      for (; m < end; m++) part = combine(KIND, part, load(src + m * stride));
      all = combine(KIND, all, part);
    }
    store(dst, all);
  }
}

/** The blocks of `span`, counted through all outer rows. */
static void runReduceMiddle(const i32* code, float* const* slots, Span span) {
  using namespace reduce_middle_field;
  const index count = code[middle], stride = code[middleStride], blockCount = code[blocks];
  for (index n = span.first; n < span.end; n++) {
    const index o = n / blockCount, left = n % blockCount * LANES;
    const float* from = slots[code[src]] + code[src + 1] + o * code[outerStride] + left;
    float* to = slots[code[dst]] + code[dst + 1] + o * code[dstOuterStride] + left;
    for (index c = 0; c < LANES; c += VW) switch (code[kind]) {
        case reduce_sum: reduceColumns<reduce_sum>(from + c, count, stride, to + c); break;
        case reduce_max: reduceColumns<reduce_max>(from + c, count, stride, to + c); break;
        case reduce_min: reduceColumns<reduce_min>(from + c, count, stride, to + c); break;
        default: reduceColumns<reduce_argmax>(from + c, count, stride, to + c);
      }
  }
}

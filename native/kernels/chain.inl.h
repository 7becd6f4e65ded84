// CHAIN: a register program over blocks that stay in L1. Operands are a base and a step; an operation is one flat loop.

struct Operand {
  float* now;  // the first vector of the block at hand; registers stay where they are
  index step;  // floats from one block of 16 to the next
  float* at;   // vector 0 of the whole iteration
  index pitch;
  index cols;
};

template <class F>
INLINE void map1(index n, float* d, index ds, const float* a, index as, F f) {
  for (index v = 0; v < n; v++, d += ds, a += as)
    UNROLL for (int j = 0; j < BV; j++) store(d + j * VW, f(load(a + j * VW)));
}

template <class F>
INLINE void map2(index n, float* d, index ds, const float* a, index as, const float* b, index bs, F f) {
  for (index v = 0; v < n; v++, d += ds, a += as, b += bs)
    UNROLL for (int j = 0; j < BV; j++) store(d + j * VW, f(load(a + j * VW), load(b + j * VW)));
}

template <class F>
INLINE void map3(index n, float* d, index ds, const float* a, index as, const float* b, index bs, const float* c, index cs, F f) {
  for (index v = 0; v < n; v++, d += ds, a += as, b += bs, c += cs)
    UNROLL for (int j = 0; j < BV; j++) store(d + j * VW, f(load(a + j * VW), load(b + j * VW), load(c + j * VW)));
}

template <class F>
static void mapLanes(index n, float* d, index ds, const float* a, index as, const float* b, index bs, F f) {
  for (index v = 0; v < n; v++, d += ds, a += as, b += bs)
    for (int i = 0; i < LANES; i++) d[i] = f(a[i], b[i]);
}

/** Sines (shift 0) or cosines (1): by vectors where all angles of the block are small, else one by one. */
static void mapAngles(index n, float* d, index ds, const float* a, index as, i32 shift) {
  vi near = broadcast(-1);
  for (index v = 0; v < n; v++)
    for (int i = 0; i < LANES; i += VW) near &= absolute(load(a + v * as + i)) < broadcast(nearAngle);
  bool all = true;
  for (int i = 0; i < VW; i++) all &= near[i] != 0;
  if (all)
    for (index v = 0; v < n; v++)
      for (int i = 0; i < LANES; i += VW / 2) sineOrCosineNear(d + v * ds + i, a + v * as + i, shift);
  else mapLanes(n, d, ds, a, as, a, as, [shift](float x, float) { return sineOrCosine(x, shift); });
}

INLINE vf truth(vi mask) { return asFloats(mask & asInts(broadcast(1.0f))); }

/** Vectors v0 .. v0+n of a pitched view, row by row: f(memory, register, first float of the row). */
template <class F>
INLINE void eachOfRows(index v0, index n, index perRow, float* memory, index pitch, index step, float* r, F f) {
  index row = v0 / perRow, j = v0 % perRow;
  while (n > 0) {
    index count = perRow - j < n ? perRow - j : n;
    float* p = memory + row * pitch + j * step;
    for (index v = 0; v < count; v++, p += step, r += LANES) f(p, r, (j + v) * LANES);
    n -= count;
    row++;
    j = 0;
  }
}

INLINE void copyBlock(float* d, const float* a) {
  UNROLL for (int i = 0; i < BV; i++) store(d + i * VW, load(a + i * VW));
}

INLINE void fillBlock(float* d, float x) {
  i32 word;
  __builtin_memcpy(&word, &x, 4);
  vi all = broadcast(word);  // as integers: an i32 must come through as it is
  UNROLL for (int i = 0; i < BV; i++) *(vi*)(d + i * VW) = all;
}

/** Vector j of the row that the index of `row` names; null where it is none of the table. */
INLINE float* indexedRow(const Operand& table, const Operand& indices, index row, index j) {
  const index i = *(const i32*)(indices.at + row * indices.pitch);
  return i >= 0 && i < table.cols ? table.at + i * table.pitch + j * table.step : nullptr;
}

/** Vectors between one that is read and one that is asked for: rows by index stand anywhere, so that no hardware foresees them. */
constexpr index LOOK_AHEAD = 64;

/** Asks for what the blocks to come will load: rows of the table before row `end` of the iteration. */
INLINE void fetchIndexed(index v0, index n, index perRow, index end, const Operand& table, const Operand& indices) {
  const index ahead = perRow < LOOK_AHEAD ? LOOK_AHEAD / perRow : 1;
  index row = v0 / perRow + ahead, j = v0 % perRow;
  for (; n > 0 && row < end; row++, j = 0) {
    const index count = perRow - j < n ? perRow - j : n;
    if (const float* p = indexedRow(table, indices, row, j))
      for (index v = 0; v < count; v++) __builtin_prefetch(p + v * table.step);
    n -= count;
  }
}

/** As eachOfRows, for the rows of a table that indices name: f(memory, register), with null for a row that is not there. */
template <class F>
INLINE void eachOfIndexed(index v0, index n, index perRow, const Operand& table, const Operand& indices, float* r, F f) {
  index row = v0 / perRow, j = v0 % perRow;
  while (n > 0) {
    const index count = perRow - j < n ? perRow - j : n;
    float* p = indexedRow(table, indices, row, j);
    for (index v = 0; v < count; v++, r += LANES) f(p ? p + v * table.step : nullptr, r);
    n -= count;
    row++;
    j = 0;
  }
}

static void chainMemory(int op, index v0, index n, index perRow, index end, const Operand& d, const Operand& a, const Operand& b) {
  switch (op) {
    case CHAIN_LOAD:
      eachOfRows(v0, n, perRow, a.at, a.pitch, a.step, d.now, [](float* p, float* r, index) { copyBlock(r, p); });
      break;
    case CHAIN_LOAD_ROW:
      eachOfRows(v0, n, perRow, a.at, 0, a.step, d.now, [](float* p, float* r, index) { copyBlock(r, p); });
      break;
    case CHAIN_LOAD_COLUMN:
      eachOfRows(v0, n, perRow, a.at, a.pitch, 0, d.now, [](float* p, float* r, index) { fillBlock(r, *p); });
      break;
    case CHAIN_LOAD_SCALAR:
      for (index v = 0; v < n; v++) fillBlock(d.now + v * LANES, *a.at);
      break;
    case CHAIN_LOAD_INDEXED:
      fetchIndexed(v0, n, perRow, end, a, b);
      eachOfIndexed(v0, n, perRow, a, b, d.now, [](float* p, float* r) {
        if (p) copyBlock(r, p);
        else fillBlock(r, 0);
      });
      break;
    case CHAIN_STORE_INDEXED:
      eachOfIndexed(v0, n, perRow, d, b, a.now, [](float* p, float* r) {
        if (p) copyBlock(p, r);
      });
      break;
    case CHAIN_STORE: {
      index cols = d.cols;
      eachOfRows(v0, n, perRow, d.at, d.pitch, d.step, a.now, [cols](float* p, float* r, index first) {
        if (first + LANES <= cols) copyBlock(p, r);
        else
          for (index i = 0; first + i < cols; i++) ((i32*)p)[i] = ((const i32*)r)[i];
      });
      break;
    }
  }
}

#define AT(x) (x).now, (x).step
#define MAP1(expression) map1(n, AT(d), AT(a), [](vf a) { return expression; })
#define MAP2(expression) map2(n, AT(d), AT(a), AT(b), [](vf a, vf b) { return expression; })
#define MAP3(expression) map3(n, AT(d), AT(a), AT(b), AT(c), [](vf a, vf b, vf c) { return expression; })

/** Rows from `end` on are not done here. */
static void chainBlock(const i32* ops, index count, const Operand* operands, index v0, index n, index perRow, index end) {
  using namespace chain_field;
  for (index q = 0; q < count; q++, ops += ops_integers) {
    const Operand &d = operands[ops[ops_d]], &a = operands[ops[ops_a]], &b = operands[ops[ops_b]], &c = operands[ops[ops_c]];
    switch (ops[ops_op]) {
      case CHAIN_MOVE: MAP1(a); break;
      case CHAIN_ADD: MAP2(a + b); break;
      case CHAIN_SUB: MAP2(a - b); break;
      case CHAIN_MUL: MAP2(a * b); break;
      case CHAIN_DIV: MAP2(a / b); break;
      case CHAIN_FMA: MAP3(fma(a, b, c)); break;
      case CHAIN_FNMA: MAP3(fnma(a, b, c)); break;
      case CHAIN_ONE_MINUS: MAP1(broadcast(1.0f) - a); break;
      case CHAIN_MAX: MAP2(select((a > b) | (a != a), a, b)); break;
      case CHAIN_MIN: MAP2(select((a < b) | (a != a), a, b)); break;
      case CHAIN_NEG: MAP1(-a); break;
      case CHAIN_ABS: MAP1(absolute(a)); break;
      case CHAIN_SIGN: MAP1(select((a == vf{}) | (a != a), a, withSign(broadcast(1.0f), a))); break;
      case CHAIN_SQUARE: MAP1(a * a); break;
      case CHAIN_SQRT: MAP1(squareRoot(a)); break;
      case CHAIN_RSQRT: MAP1(broadcast(1.0f) / squareRoot(a)); break;
      case CHAIN_RECIPROCAL: MAP1(broadcast(1.0f) / a); break;
      case CHAIN_EXP: MAP1(exponential(a)); break;
      case CHAIN_LOG: MAP1(logarithm(a)); break;
      case CHAIN_LOG1P: MAP1(logarithm1p(a)); break;
      case CHAIN_POW: mapLanes(n, AT(d), AT(a), AT(b), [](float a, float b) { return power(a, b); }); break;
      case CHAIN_TANH: MAP1(tangentHyperbolic(a)); break;
      case CHAIN_SIGMOID: MAP1(sigmoid(a)); break;
      case CHAIN_DTANH: MAP2(a * fnma(b, b, broadcast(1.0f))); break;
      case CHAIN_DSIGMOID: MAP2(a * fnma(b, b, b)); break;
      case CHAIN_RELU: MAP1(select(a <= vf{}, vf{}, a)); break;
      case CHAIN_DRELU: MAP2(select(b > vf{}, a, vf{})); break;
      case CHAIN_SOFTPLUS: MAP1(softplus(a)); break;
      case CHAIN_ERF: MAP1(errorFunction(a)); break;
      case CHAIN_SIN: mapAngles(n, AT(d), AT(a), 0); break;
      case CHAIN_COS: mapAngles(n, AT(d), AT(a), 1); break;
      case CHAIN_FLOOR: MAP1(floorOf(a)); break;
      case CHAIN_ROUND: MAP1(roundToEven(a)); break;
      case CHAIN_LESS: MAP2(truth(a < b)); break;
      case CHAIN_LESS_EQUAL: MAP2(truth(a <= b)); break;
      case CHAIN_EQUAL: MAP2(truth(a == b)); break;
      case CHAIN_NOT_EQUAL: MAP2(truth(a != b)); break;
      case CHAIN_SELECT: MAP3(select(a != vf{}, b, c)); break;
      case CHAIN_IS_FINITE: MAP1(truth((asInts(a) & 0x7f800000) != 0x7f800000)); break;
      case CHAIN_TO_FLOAT: MAP1(toFloat(asInts(a))); break;
      case CHAIN_TO_INT: MAP1(asFloats(toInteger(a))); break;
      default: chainMemory(ops[ops_op], v0, n, perRow, end, d, a, b);
    }
  }
}

/** The vectors of `span`; registers stand in scratch. */
static void runChain(const i32* code, float* const* slots, Span span, float* scratch) {
  using namespace chain_field;
  const index perRow = code[chain_field::perRow], block = code[chain_field::block];
  const i32 registers = code[chain_field::registers];
  if (span.first == span.end) return;
  const i32 viewCount = code[views];
  const i32* view = code + views + 1;
  Operand operands[MAXIMUM_OPERANDS];
  for (i32 i = 0; i < viewCount; i++, view += views_integers) {
    float* at = slots[view[views_at]] + view[views_at + 1];
    operands[i] = {at, view[views_step], at, view[views_pitch], view[views_cols]};
  }
  for (i32 i = 0; i < registers; i++) operands[viewCount + i] = {scratch + i * block * LANES, LANES, nullptr, 0, 0};
  const i32 count = *view;
  if (span.first)
    for (i32 i = 0; i < viewCount; i++) operands[i].now += span.first * operands[i].step;
  const index end = span.end / perRow;
  for (index v0 = span.first;;) {
    const index n = span.end - v0 < block ? span.end - v0 : block;
    chainBlock(view + 1, count, operands, v0, n, perRow, end);
    if ((v0 += n) >= span.end) break;
    for (i32 i = 0; i < viewCount; i++) operands[i].now += n * operands[i].step;
  }
}

#undef AT
#undef MAP1
#undef MAP2
#undef MAP3

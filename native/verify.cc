// Holds a program against the treaty before it runs: structure, operands, and every address that it can touch. After it, the interpreter
// needs no checks of its own but for ids, which are data. Addresses: a reference stands at a fixed offset from a slot, and a slot moves by
// a constant in each loop, so the first and the last address over all passes are known.
#include "generated/treaty.h"
#include "limits.h"
#include "machine.h"

namespace unrolled {
namespace {

// Products of two i32 fit an i64; held to this bound, sums of many of them do too.
constexpr i64 FAR = (i64)1 << 48;
i64 multiply(i64 a, i64 b) {
  const i64 p = a * b;
  return p > FAR ? FAR : p < -FAR ? -FAR : p;
}
i32 text(const char* s) {
  i32 n = 0;
  while (s[n]) n++;
  return n;
}

/** First and one past the last element of an access, relative to its reference. */
struct Extent {
  i64 low = 0, high = 0;
  bool empty = false;
  Extent& over(i64 count, i64 stride) {
    if (count <= 0) empty = true;
    else {
      const i64 far = multiply(count - 1, stride);
      if (far < 0) low += far;
      else high += far;
    }
    return *this;
  }
  Extent& width(i64 n) {
    if (n <= 0) empty = true;
    high += n;
    return *this;
  }
};

enum Access { READ, WRITE };

struct Verifier {
  const i32* encoded;
  Fault& fault;
  const i32* code = nullptr;  // the instruction at hand
  i32 position = 0;
  i32 codeLength = 0;
  i64 sizes[4] = {};
  const i32* loops[MAXIMUM_LOOPS] = {};
  i32 ends[MAXIMUM_LOOPS] = {};
  int depth = 0;

  bool refuse(const char* reason) {
    fault = {reason, position};
    return false;
  }
  i64 at(int field) const { return code[field]; }
  bool live() const {
    for (int i = 0; i < depth; i++)
      if (!loops[i][loop_field::count]) return false;
    return true;
  }

  /** Whether an access through the reference at `field` of `part` stays in its memory, on every pass of the loops around it. */
  bool reach(const i32* part, int field, const Extent& extent, Access access) {
    if (extent.empty || !live()) return true;
    const i32 slot = part[field];
    const i32* slotRow = encoded + HEADER + 2 * slot;
    i64 low = (i64)slotRow[1] + part[field + 1], high = low;
    for (int i = 0; i < depth; i++) {
      const i32* move = loops[i] + loop_field::moves + 1;
      for (i32 n = loops[i][loop_field::moves]; n > 0; n--, move += loop_field::moves_integers)
        if (move[loop_field::moves_slot] == slot) {
          const i64 far = multiply(loops[i][loop_field::count] - 1, move[loop_field::moves_stride]);
          if (far < 0) low += far;
          else high += far;
        }
    }
    const i32 segment = slotRow[0];
    if (access == WRITE && segment == segment_constants) return refuse("it writes to constants");
    if (low + extent.low < 0) return refuse("it reaches before the beginning of a memory");
    if (high + extent.high > sizes[segment] + (access == WRITE ? 0 : (i64)SLACK)) return refuse("it reaches beyond the end of a memory");
    return true;
  }
  bool reads(int field, const Extent& extent) { return reach(code, field, extent, READ); }
  bool writes(int field, const Extent& extent) { return reach(code, field, extent, WRITE); }

  bool notNegative(const int* fields, int count) {
    for (int i = 0; i < count; i++)
      if (at(fields[i]) < 0) return refuse("a count is negative");
    return true;
  }
  template <int N>
  bool notNegative(const int (&fields)[N]) {
    return notNegative(fields, N);
  }

  /** Lengths, repeats and slots of the instruction at hand, by the kinds of its fields. */
  bool structure() {
    const TreatyRow& row = treatyRows[code[0]];
    i64 place = 2;
    const auto walk = [&](const char* kinds) {
      for (; *kinds; kinds++) {
        if (place + (*kinds == 'r' ? 2 : 1) > code[1]) return false;
        if (*kinds == 'r' && (code[place] < 0 || code[place] >= encoded[header_slots])) return false;
        place += *kinds == 'r' ? 2 : 1;
      }
      return true;
    };
    if (!walk(row.kinds)) return refuse("its fields are wrong");
    for (int r = 0; r < row.repeats; r++) {
      if (place >= code[1]) return refuse("its fields are wrong");
      const i32 count = code[place++];
      if (count < 0 || (i64)count * text(row.repeatKinds[r]) > code[1]) return refuse("a repeat count is wrong");
      for (i32 i = 0; i < count; i++)
        if (!walk(row.repeatKinds[r])) return refuse("its repeats are wrong");
    }
    return place == code[1] || refuse("its length is wrong");
  }

  bool loop() {
    using namespace loop_field;
    if (at(count) < 0 || at(body) < 0) return refuse("a count is negative");
    if (depth == MAXIMUM_LOOPS) return refuse("loops are nested too deep");
    if (at(activeRows) < 0) return refuse("a count is negative");
    for (int i = 0; i < depth; i++)
      if (loops[i][activeRows]) return refuse("a loop stands in one with active rows");
    if (at(activeRows) && at(count) && !reads(activeAt, Extent().over(at(count), at(activeStride)).width(1))) return false;
    const i32* move = code + moves + 1;
    for (i32 i = 0; i < code[moves]; i++, move += moves_integers)
      if (move[moves_slot] < 0 || move[moves_slot] >= encoded[header_slots]) return refuse("it moves a slot that does not exist");
    if (at(activeRows))
      for (i32 i = 0; i < code[moves]; i++)
        if (code[moves + 1 + i * moves_integers + moves_slot] == code[activeAt]) return refuse("it moves the counts of its active rows");
    const i64 end = (i64)position + code[1] + code[body];
    if (end > (depth ? ends[depth - 1] : codeLength)) return refuse("the end of its body is wrong");
    loops[depth] = code;
    ends[depth++] = (i32)end;
    return true;
  }

  /** Groups of rows with a count of valid ones each. */
  bool rowGroups(int rows, int groups, int groupRows, int countsAt) {
    if (at(groups) < 0 || at(groupRows) < 0) return refuse("a count is negative");
    if (!at(groups)) return true;
    if (multiply(at(groups), at(groupRows)) != at(rows)) return refuse("its groups are not its rows");
    return reads(countsAt, Extent().width(at(groups)));
  }

  bool hold() {
    using namespace hold_field;
    if (!notNegative({rows, blocks})) return false;
    const i32* s = code + sources + 1;
    for (i32 i = 0; i < code[sources]; i++, s += sources_integers)
      if (!reach(s, sources_at, Extent().over(at(rows), s[sources_pitch]).over(at(blocks), s[sources_step]).width(LANES), READ)) return false;
    return writes(dst, Extent().over(at(rows), at(dstPitch)).over(at(blocks), at(dstStep)).width(LANES));
  }

  bool precisionIs(int field) {
    return at(field) == precision_float32 || at(field) == precision_bfloat16 || refuse("the precision is unknown");
  }

  /** Periods of blocks: none, or whole ones of more than one. */
  bool periods(int period, int blocks) {
    return !at(period) || (at(period) > 1 && at(blocks) % at(period) == 0) || refuse("its blocks are no whole periods");
  }

  bool product() {
    using namespace product_field;
    if (!notNegative({rows, blocks, total}) || !rowGroups(rows, groups, groupRows, countsAt)) return false;
    if (at(panel) < 1) return refuse("a panel needs blocks");
    if (at(init) < init_zero || at(init) > init_matrix) return refuse("init is unknown");
    if (!precisionIs(precision)) return false;
    if (code[segments] > MAXIMUM_SEGMENTS) return refuse("it has too many segments");
    if (!periods(period, blocks)) return false;
    if (at(period)) {
      if (at(panel) != 1 && at(panel) != at(period)) return refuse("a panel is neither a block nor a period");
      if (at(apart) < 0 || at(apart) > code[segments]) return refuse("segments are missing");
      if (at(groups) || at(precision)) return refuse("what stands apart has neither groups nor pairs");
    }
    const i64 packedWidth = multiply(at(blocks), LANES), width = packedWidth + (at(period) ? multiply(at(blocks) / at(period), LANES) : 0);
    const i32* s = code + segments + 1;
    i64 sum = 0;
    for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
      if (s[segments_count] < 0) return refuse("a count is negative");
      sum += s[segments_count];
      if (width && !reach(s, segments_at, Extent().over(at(rows), s[segments_pitch]).over(s[segments_count], s[segments_step]).width(1), READ))
        return false;
    }
    if (sum != at(total)) return refuse("total is not the sum of the counts");
    if (!at(rows)) return true;
    if (at(init) == init_row && !reads(initAt, Extent().width(width))) return false;
    if (at(init) == init_matrix && !reads(initAt, Extent().over(at(rows), at(initPitch)).width(width))) return false;
    return reads(packed, Extent().width(multiply(at(total), packedWidth))) && writes(dst, Extent().over(at(rows), at(dstPitch)).width(width));
  }

  bool pack() {
    using namespace pack_field;
    if (!notNegative({panel, blocks, cols, total}) || !precisionIs(precision)) return false;
    if (at(precision) && !at(panel)) return refuse("a plain vector has no pairs");
    const i64 width = at(panel) ? multiply(at(blocks), LANES) : 1, used = at(panel) ? (at(cols) < width ? at(cols) : width) : 1;
    const i32* run = code + runs + 1;
    i64 sum = 0;
    for (i32 i = 0; i < code[runs]; i++, run += runs_integers) {
      if (run[runs_count] < 0) return refuse("a count is negative");
      sum += run[runs_count];
      if (!reach(run, runs_at, Extent().over(run[runs_count], run[runs_step]).over(used, at(nStep)).width(1), READ)) return false;
    }
    if (sum != at(total)) return refuse("total is not the sum of the counts");
    return writes(dst, Extent().width(multiply(sum, width)));
  }

  bool matvec() {
    using namespace matvec_field;
    if (!notNegative({rows})) return false;
    if (at(init) < init_zero || at(init) > init_matrix) return refuse("init is unknown");
    const i32* s = code + segments + 1;
    i64 sum = 0;
    for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
      if (s[segments_count] < 0) return refuse("a count is negative");
      sum += s[segments_count];
      if (!reach(s, segments_at, Extent().over(at(rows), s[segments_pitch]).over(s[segments_count], s[segments_step]).width(1), READ))
        return false;
    }
    if (!at(rows)) return true;
    if (at(init) != init_zero && !reads(initAt, Extent().width(at(init) == init_row ? 1 : at(rows)))) return false;
    return reads(w, Extent().width(sum)) && writes(dst, Extent().width(at(rows)));
  }

  bool productTN() {
    using namespace product_tn_field;
    if (!notNegative({rows, blocks, scratchFloats}) || !rowGroups(rows, groups, groupRows, countsAt)) return false;
    if (at(kBlock) < 1) return refuse("kBlock is not positive");
    if (!precisionIs(precision) || !periods(period, blocks)) return false;
    const i64 width = multiply(at(blocks), LANES);
    const i32* s = code + segments + 1;
    for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
      const i64 cols = s[segments_cols], left = s[segments_without];
      if (cols < 0) return refuse("a count is negative");
      if (left < 0 || left > at(period)) return refuse("it leaves out a block that does not exist");
      const i64 own = left ? width - multiply(at(blocks) / at(period), LANES) : width;
      if (width && !reach(s, segments_at, Extent().over(at(rows), s[segments_pitch]).width(cols), READ)) return false;
      if (!reach(s, segments_dst, Extent().over(cols, s[segments_dstPitch]).width(own), WRITE)) return false;
    }
    if (at(sums) && !writes(sumAt, Extent().width(width))) return false;
    return reads(b, Extent().over(at(rows), at(bPitch)).width(width)) && writes(scratch, Extent().width(at(scratchFloats)));
  }

  bool vectorTN() {
    using namespace vector_tn_field;
    if (!notNegative({rows})) return false;
    const i32* s = code + segments + 1;
    for (i32 i = 0; i < code[segments]; i++, s += segments_integers) {
      const i64 cols = s[segments_cols];
      if (cols < 0) return refuse("a count is negative");
      if (!reach(s, segments_at, Extent().over(at(rows), s[segments_pitch]).width(cols), READ)) return false;
      if (!reach(s, segments_dst, Extent().width(cols), WRITE)) return false;
    }
    if (at(sums) && !writes(sumAt, Extent().width(1))) return false;
    return reads(b, Extent().width(at(rows)));
  }

  /** One operand of a chain as the operation uses it. */
  bool chainView(const i32* view, int operation, Access access, bool isIndex) {
    using namespace chain_field;
    const i64 all = at(vectors), across = at(perRow) < all ? at(perRow) : all, down = (all + at(perRow) - 1) / at(perRow);
    const i64 step = view[views_step], pitch = view[views_pitch], cols = view[views_cols];
    if (isIndex) return reach(view, views_at, Extent().over(down, pitch).width(1), READ);
    switch (operation) {
      // Whatever the indices are, the machine keeps to the rows of the table.
      case CHAIN_LOAD_INDEXED:
      case CHAIN_STORE_INDEXED:
        if (cols < 0) return refuse("a count is negative");
        return reach(view, views_at, Extent().over(cols, pitch).over(across, step).width(LANES), access);
      case CHAIN_LOAD: return reach(view, views_at, Extent().over(down, pitch).over(across, step).width(LANES), READ);
      case CHAIN_LOAD_ROW: return reach(view, views_at, Extent().over(across, step).width(LANES), READ);
      case CHAIN_LOAD_COLUMN: return reach(view, views_at, Extent().over(down, pitch).width(1), READ);
      case CHAIN_LOAD_SCALAR: return reach(view, views_at, Extent().over(all, 0).width(1), READ);
      case CHAIN_STORE: {
        if (cols < 0) return refuse("a count is negative");
        const i64 whole = cols / LANES < across ? cols / LANES : across, rest = whole < across ? cols % LANES : 0;
        if (!reach(view, views_at, Extent().over(down, pitch).over(whole, step).width(LANES), WRITE)) return false;
        Extent tail = Extent().over(down, pitch).width(rest);
        tail.low += multiply(whole, step);
        tail.high += multiply(whole, step);
        return reach(view, views_at, tail, WRITE);
      }
      default: return reach(view, views_at, Extent().over(all, step).width(LANES), access);
    }
  }

  bool chain() {
    using namespace chain_field;
    if (!notNegative({vectors, registers})) return false;
    if (at(perRow) < 1 || at(block) < 1) return refuse("perRow and block must be positive");
    const i32 viewCount = code[views];
    const i64 operands = (i64)viewCount + code[registers];
    if (operands > MAXIMUM_OPERANDS) return refuse("it has too many operands");
    const i32* view = code + views + 1;
    const i32* op = view + viewCount * views_integers;
    for (i32 n = *op++; n > 0; n--, op += ops_integers) {
      if (op[ops_op] < 0 || op[ops_op] >= CHAIN_OPCODES) return refuse("it has an unknown operation");
      const ChainRow& row = chainRows[op[ops_op]];
      for (int i = 0; i < row.arity; i++) {
        const i32 x = op[ops_a + i];
        if (x < 0 || x >= operands) return refuse("an operation reads an operand that does not exist");
        if (row.memory && (x < viewCount) != (row.memory == 1 || i > 0)) return refuse("an operation reads the wrong kind of operand");
        if (x < viewCount && !chainView(view + x * views_integers, op[ops_op], READ, row.memory && i > 0)) return false;
      }
      const i32 d = op[ops_d];
      if (d < 0 || d >= operands) return refuse("an operation writes an operand that does not exist");
      if (row.memory && (d < viewCount) != (row.memory == 2)) return refuse("an operation writes the wrong kind of operand");
      if (d < viewCount && !chainView(view + d * views_integers, op[ops_op], WRITE, false)) return false;
    }
    return writes(scratch, Extent().width(multiply(multiply(at(registers), at(block)), LANES)));
  }

  bool reduceLast() {
    using namespace reduce_last_field;
    if (!notNegative({rows, cols})) return false;
    if (at(kind) < reduce_sum || at(kind) > reduce_argmax) return refuse("the kind of reduction is unknown");
    if (at(inner) < 1) return refuse("inner is not positive");
    const i64 across = at(inner) < at(rows) ? at(inner) : at(rows), down = (at(rows) + at(inner) - 1) / at(inner);
    return reads(src, Extent().over(at(rows), at(pitch)).width(at(cols))) && writes(dst, Extent().over(down, at(dstPitch)).width(across));
  }

  bool reduceMiddle() {
    using namespace reduce_middle_field;
    if (!notNegative({outer, middle, blocks})) return false;
    if (at(kind) < reduce_sum || at(kind) > reduce_argmax) return refuse("the kind of reduction is unknown");
    const i64 width = multiply(at(blocks), LANES);
    return reads(src, Extent().over(at(outer), at(outerStride)).over(at(middle), at(middleStride)).width(width)) &&
           writes(dst, Extent().over(at(outer), at(dstOuterStride)).width(width));
  }

  bool copy() {
    using namespace copy_field;
    if (code[dims] > MAXIMUM_DIMENSIONS) return refuse("it has too many dimensions");
    Extent from = Extent().width(1), to = Extent().width(1);
    const i32* d = code + dims + 1;
    for (i32 i = 0; i < code[dims]; i++, d += dims_integers) {
      if (d[dims_size] < 0) return refuse("a count is negative");
      from.over(d[dims_size], d[dims_srcStride]);
      to.over(d[dims_size], d[dims_dstStride]);
    }
    return reads(src, from) && writes(dst, to);
  }

  bool fill() {
    using namespace fill_field;
    return notNegative({count}) && writes(dst, Extent().width(at(count)));
  }

  bool idsReach(int rows, int ids, int inner, int idsPitch) {
    if (at(inner) < 1) return refuse("inner is not positive");
    const i64 across = at(inner) < at(rows) ? at(inner) : at(rows), down = (at(rows) + at(inner) - 1) / at(inner);
    return reads(ids, Extent().over(down, at(idsPitch)).width(across));
  }

  bool gather() {
    using namespace gather_field;
    if (!notNegative({rows, vocabulary, blocks}) || !idsReach(rows, ids, inner, idsPitch)) return false;
    const i64 width = multiply(at(blocks), LANES);
    if (at(rows) && !reads(table, Extent().over(at(vocabulary), at(tablePitch)).width(width))) return false;
    return writes(dst, Extent().over(at(rows), at(dstPitch)).width(width));
  }

  bool scatterAdd() {
    using namespace scatter_add_field;
    if (!notNegative({rows, vocabulary, blocks}) || !idsReach(rows, ids, inner, idsPitch)) return false;
    const i64 width = at(blocks) ? multiply(at(blocks), LANES) : 1;
    return reads(src, Extent().over(at(rows), at(srcPitch)).width(width)) &&
           writes(dst, Extent().over(at(vocabulary), at(dstPitch)).width(width));
  }

  bool distinct() {
    using namespace distinct_field;
    if (!notNegative({rows, vocabulary, most}) || !idsReach(rows, ids, inner, idsPitch)) return false;
    if (at(most) < (at(rows) < at(vocabulary) ? at(rows) : at(vocabulary))) return refuse("there may be more distinct ids than it has room for");
    const i64 across = at(inner) < at(rows) ? at(inner) : at(rows), down = (at(rows) + at(inner) - 1) / at(inner);
    return writes(table, Extent().width(at(vocabulary))) && writes(list, Extent().width(at(most))) &&
           writes(places, Extent().over(down, at(placesPitch)).width(across)) && writes(number, Extent().width(1));
  }

  bool oneHot() {
    using namespace one_hot_field;
    // Of the instruction; the name alone is the depth of the loops around it.
    constexpr int classes = one_hot_field::depth;
    if (!notNegative({rows, classes, blocks}) || !idsReach(rows, ids, inner, idsPitch)) return false;
    const i64 width = multiply(at(blocks), LANES);
    if (at(classes) > width) return refuse("depth is beyond the blocks");
    return writes(dst, Extent().over(at(rows), at(dstPitch)).width(width));
  }

  bool random() {
    using namespace random_field;
    if (!notNegative({rows, cols})) return false;
    if (multiply(at(rows), at(cols)) > (i64)1 << 32) return refuse("it draws more numbers than its counter has");
    return reads(key, Extent().width(2)) && writes(dst, Extent().over(at(rows), at(pitch)).width(at(cols)));
  }

  bool instruction() {
    switch (code[0]) {
      case OP_LOOP: return loop();
      case OP_NEXT:
        if (!depth || ends[depth - 1] != position + code[1]) return refuse("NEXT closes no loop");
        depth--;
        return true;
      case OP_HOLD: return hold();
      case OP_PRODUCT: return product();
      case OP_PACK: return pack();
      case OP_MATVEC: return matvec();
      case OP_PRODUCT_TN: return productTN();
      case OP_VECTOR_TN: return vectorTN();
      case OP_CHAIN: return chain();
      case OP_REDUCE_LAST: return reduceLast();
      case OP_REDUCE_MIDDLE: return reduceMiddle();
      case OP_COPY: return copy();
      case OP_FILL: return fill();
      case OP_GATHER: return gather();
      case OP_SCATTER_ADD: return scatterAdd();
      case OP_DISTINCT: return distinct();
      case OP_ONE_HOT: return oneHot();
      case OP_RANDOM: return random();
      default: return refuse("END stands inside the program");
    }
  }

  bool program(i64 length) {
    position = -1;
    if (length < HEADER || encoded[0] != PROGRAM_MAGIC || encoded[1] != PROGRAM_VERSION) return refuse("it is no program of this version");
    for (int i = header_slots; i < HEADER; i++)
      if (encoded[i] < 0) return refuse("a size is negative");
    const i64 slotCount = encoded[header_slots];
    codeLength = encoded[header_code];
    if (HEADER + 2 * slotCount + codeLength + encoded[header_constants] != length) return refuse("its length is wrong");
    sizes[segment_arena] = encoded[header_arena];
    sizes[segment_state] = encoded[header_state];
    sizes[segment_io] = encoded[header_io];
    sizes[segment_constants] = encoded[header_constants];
    for (i64 i = 0; i < slotCount; i++) {
      const i32 segment = encoded[HEADER + 2 * i], offset = encoded[HEADER + 2 * i + 1];
      if (segment < 0 || segment > 3 || offset < 0 || offset > sizes[segment]) return refuse("a slot points outside its memory");
    }
    const i32* const start = encoded + HEADER + 2 * slotCount;
    for (position = 0; position < codeLength; position += code[1]) {
      code = start + position;
      if (codeLength - position < 2) return refuse("it is cut off");
      if (code[0] < 0 || code[0] >= OPCODES) return refuse("the instruction is unknown");
      if (code[1] < 2 || code[1] > codeLength - position) return refuse("its length is wrong");
      if (!structure()) return false;
      if (code[0] == OP_END) {
        if (position + code[1] != codeLength || depth) return refuse("END stands inside the program");
        return true;
      }
      if (!instruction()) return false;
    }
    return refuse("it does not end");
  }
};

}  // namespace

bool verify(const i32* encoded, i64 length, Fault& fault) {
  Verifier verifier{encoded, fault};
  return verifier.program(length);
}

}  // namespace unrolled

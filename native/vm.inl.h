// The interpreter of programs (src/ir/program.ts), once for each instruction set. The translation unit defines VW (floats in a vector)
// and UNROLLED_SET (its name) and includes this file alone. Everything but the entry is local to the unit, so that code compiled for one
// instruction set cannot be linked into another.
#include "generated/treaty.h"
#include "limits.h"
#include "machine.h"

namespace unrolled {
namespace {
#include "simd.h"
#include "kernels/functions.inl.h"
#include "kernels/active.inl.h"
#include "kernels/chain.inl.h"
#include "kernels/product.inl.h"
#include "kernels/product-tn.inl.h"
#include "kernels/reduce.inl.h"
#include "kernels/move.inl.h"

struct Loop {
  const i32* loop;
  const i32* body;
  i32 left;
};

INLINE void moveSlots(const i32* loop, float** slots, index times) {
  using namespace loop_field;
  const i32 count = loop[moves];
  const i32* move = loop + moves + 1;
  for (i32 i = 0; i < count; i++, move += moves_integers) slots[move[moves_slot]] += move[moves_stride] * times;
}

/** The active rows of a pass of a loop, of those that this thread does. */
INLINE Active activeRowsOf(const i32* loop, float* const* slots, index pass, const Active& mine) {
  using namespace loop_field;
  if (!loop[activeRows]) return mine;
  const i32* counts = (const i32*)(slots[loop[activeAt]] + loop[activeAt + 1]);
  const index all = loop[activeRows], now = clampCount(counts[pass * loop[activeStride]], all);
  const Span share = mine.all == all ? mine.now : Span{0, all};
  return {all, within(share, {0, now}), within(share, {now, all})};
}

/** The units of this thread: neighbours, as even as can be. */
INLINE Span shareOf(index units, const Run& run) {
  const index count = run.crew->count, thread = run.thread;
  return {units * thread / count, units * (thread + 1) / count};
}

INLINE float* scratchOf(const Run& run, const i32* code, int field) {
  return run.thread ? run.scratch : run.slots[code[field]] + code[field + 1];
}

enum Shared { NOTHING_YET, BY_THE_FIRST, BY_ALL };

/**
 * One pass through the program; true where it must end. With a crew every thread comes here. All walk the same way and so meet at the same
 * places: before and after what all do together. What the first thread does alone, the others pass over.
 */
template <bool CREW>
bool step(Run& run, const i32* start) {
  float** const slots = run.slots;
  Loop loops[MAXIMUM_LOOPS];
  int depth = 0, alone = -1;  // alone: the depth around a loop in which threads do not meet
  Active active = allRows, mine = allRows;
  Shared last = NOTHING_YET;
  for (const i32 *code = start, *next;; code = next) {
    next = code + code[1];
    const i32 op = code[0];
    bool share = false;
    if constexpr (CREW) {
      const Share& entry = run.crew->shares[code - start];
      const bool worth = entry.units && entry.cost >= run.crew->smallest;
      const bool control = op == OP_NEXT || op == OP_END || (op == OP_LOOP && worth && entry.units == SHARED_INSIDE);
      if (alone < 0 && !control) {
        if (last != NOTHING_YET && (worth || last == BY_ALL) && run.crew->meet(*run.crew, false)) return true;
        last = worth ? BY_ALL : BY_THE_FIRST;
        if (op == OP_LOOP) {
          const Span rows = worth ? shareOf(entry.units, run) : Span{0, run.thread ? 0 : 1};
          if (rows.first == rows.end) {
            next += code[loop_field::body];
            continue;
          }
          alone = depth;
          mine = worth ? Active{entry.units, rows, {0, 0}} : allRows;
          active = mine;
        } else if (!worth && run.thread) continue;
        share = worth;
      }
    }
    // What this thread does of so many rows, vectors or blocks.
    const auto rowsOf = [&](index rows) { return CREW && share ? shareOf(rows, run) : active.of(rows); };
    const auto allOf = [&](index units) { return CREW && share ? shareOf(units, run) : Span{0, units}; };
    switch (op) {
      case OP_LOOP:
        if (code[loop_field::count] == 0) {
          next += code[loop_field::body];
          if (alone == depth) {
            alone = -1;
            active = mine = allRows;
          }
        } else {
          loops[depth++] = {code, next, code[loop_field::count]};
          active = activeRowsOf(code, slots, 0, mine);
        }
        break;
      case OP_NEXT: {
        Loop& top = loops[depth - 1];
        if (--top.left) {
          moveSlots(top.loop, slots, 1);
          next = top.body;
          if (top.loop[loop_field::activeRows])
            active = activeRowsOf(top.loop, slots, top.loop[loop_field::count] - top.left, mine);
        } else {
          moveSlots(top.loop, slots, 1 - (index)top.loop[loop_field::count]);
          depth--;
          if (alone == depth) {
            alone = -1;
            mine = allRows;
          }
          active = mine;
        }
        break;
      }
      case OP_HOLD: runHold(code, slots, active.held(code[hold_field::rows])); break;
      case OP_PRODUCT: runProduct(code, slots, rowsOf(code[product_field::rows])); break;
      case OP_PACK: runPack(code, slots, allOf(panelsOf(code))); break;
      case OP_MATVEC: runMatvec(code, slots, rowsOf(code[matvec_field::rows])); break;
      case OP_PRODUCT_TN:
        runProductTN(code, slots, allOf(code[product_tn_field::blocks] / unitOfTN(code)), scratchOf(run, code, product_tn_field::scratch));
        break;
      case OP_VECTOR_TN: runVectorTN(code, slots); break;
      case OP_CHAIN: {
        const index vectors = code[chain_field::vectors];
        Span span = active.vectors(vectors, code[chain_field::perRow]);
        if (CREW && share) {
          const index units = run.crew->shares[code - start].units, each = vectors / units;
          span = shareOf(units, run);
          span = {span.first * each, span.end * each};
        }
        runChain(code, slots, span, scratchOf(run, code, chain_field::scratch));
        break;
      }
      case OP_REDUCE_LAST: {
        // Also the rows that a loop leaves out: what is made of them may stand beside the others in one row.
        const index rows = code[reduce_last_field::rows];
        runReduceLast(code, slots, CREW && share ? shareOf(rows, run) : mine.of(rows));
        break;
      }
      case OP_REDUCE_MIDDLE:
        runReduceMiddle(code, slots, allOf((index)code[reduce_middle_field::outer] * code[reduce_middle_field::blocks]));
        break;
      case OP_COPY: runCopy(code, slots, rowsOf(copyRows(code))); break;
      case OP_FILL: runFill(code, slots, allOf(code[fill_field::count])); break;
      case OP_GATHER:
      case OP_SCATTER_ADD:
      case OP_DISTINCT:
        if (!(op == OP_GATHER        ? runGather(code, slots, allOf(code[gather_field::rows]), run.detail)
              : op == OP_SCATTER_ADD ? runScatterAdd(code, slots, allOf(code[scatter_add_field::blocks]), run.detail)
                                     : runDistinct(code, slots, run.detail))) {
          run.status = STATUS_BAD_ID;
          run.position = (i32)(code - start);
          if constexpr (CREW) run.crew->meet(*run.crew, true);
          return true;
        }
        break;
      case OP_ONE_HOT: runOneHot(code, slots, allOf(code[one_hot_field::rows])); break;
      case OP_RANDOM: runRandom(code, slots, allOf(code[random_field::rows])); break;
      default:
        if constexpr (CREW) return run.crew->meet(*run.crew, false);
        return false;
    }
  }
}

void runProgram(Run& run) {
  const i32 slotCount = run.encoded[header_slots];
  const i32* slotList = run.encoded + HEADER;
  const i32* start = slotList + 2 * slotCount;
  float* constants = (float*)(start + run.encoded[header_code]);
  float* const segments[4] = {run.arena, run.state, run.io, constants};
  run.status = STATUS_OK;
  for (index n = 0; n < run.steps; n++) {
    run.step = (i32)n;
    for (i32 i = 0; i < slotCount; i++) {
      const i32 segment = slotList[2 * i];
      run.slots[i] = segments[segment] + slotList[2 * i + 1] + (segment == segment_io ? n * run.ioStride : 0);
    }
    if (run.crew ? step<true>(run, start) : step<false>(run, start)) break;
  }
}
}  // namespace

extern const InstructionSet UNROLLED_SET;
const InstructionSet UNROLLED_SET = {UNROLLED_SET_NAME, VW, runProgram};
}  // namespace unrolled

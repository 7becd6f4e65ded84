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

/** The active rows of a pass of a loop. */
INLINE Active activeRowsOf(const i32* loop, float* const* slots, index pass) {
  using namespace loop_field;
  if (!loop[activeRows]) return allRows;
  const i32* counts = (const i32*)(slots[loop[activeAt]] + loop[activeAt + 1]);
  return {loop[activeRows], clampCount(counts[pass * loop[activeStride]], loop[activeRows])};
}

/** One pass through the program. */
void step(Run& run, const i32* start) {
  float** const slots = run.slots;
  Loop loops[MAXIMUM_LOOPS];
  int depth = 0;
  Active active = allRows;
  for (const i32 *code = start, *next;; code = next) {
    next = code + code[1];
    switch (code[0]) {
      case OP_LOOP:
        if (code[loop_field::count] == 0) next += code[loop_field::body];
        else {
          loops[depth++] = {code, next, code[loop_field::count]};
          active = activeRowsOf(code, slots, 0);
        }
        break;
      case OP_NEXT: {
        Loop& top = loops[depth - 1];
        if (--top.left) {
          moveSlots(top.loop, slots, 1);
          next = top.body;
          if (top.loop[loop_field::activeRows]) active = activeRowsOf(top.loop, slots, top.loop[loop_field::count] - top.left);
        } else {
          moveSlots(top.loop, slots, 1 - (index)top.loop[loop_field::count]);
          depth--;
          active = allRows;
        }
        break;
      }
      case OP_HOLD: runHold(code, slots, active); break;
      case OP_PRODUCT: runProduct(code, slots, active); break;
      case OP_PACK: runPack(code, slots); break;
      case OP_MATVEC: runMatvec(code, slots, active); break;
      case OP_PRODUCT_TN: runProductTN(code, slots); break;
      case OP_VECTOR_TN: runVectorTN(code, slots); break;
      case OP_CHAIN: runChain(code, slots, active); break;
      case OP_REDUCE_LAST: runReduceLast(code, slots); break;
      case OP_REDUCE_MIDDLE: runReduceMiddle(code, slots); break;
      case OP_COPY: runCopy(code, slots, active); break;
      case OP_FILL: runFill(code, slots); break;
      case OP_GATHER:
      case OP_SCATTER_ADD:
        if (!(code[0] == OP_GATHER ? runGather(code, slots, run.detail) : runScatterAdd(code, slots, run.detail))) {
          run.status = STATUS_BAD_ID;
          run.position = (i32)(code - start);
          return;
        }
        break;
      case OP_ONE_HOT: runOneHot(code, slots); break;
      case OP_RANDOM: runRandom(code, slots); break;
      default: return;
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
  for (index n = 0; n < run.steps && run.status == STATUS_OK; n++) {
    run.step = (i32)n;
    for (i32 i = 0; i < slotCount; i++) {
      const i32 segment = slotList[2 * i];
      run.slots[i] = segments[segment] + slotList[2 * i + 1] + (segment == segment_io ? n * run.ioStride : 0);
    }
    step(run, start);
  }
}
}  // namespace

extern const InstructionSet UNROLLED_SET;
const InstructionSet UNROLLED_SET = {UNROLLED_SET_NAME, VW, runProgram};
}  // namespace unrolled

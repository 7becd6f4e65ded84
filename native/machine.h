// What the hosts and the instruction sets share: the run of a program, its faults, and the table of instruction sets.
// No standard library here or in anything that the kernels include: the same files are built freestanding for WebAssembly.
#pragma once

namespace unrolled {

typedef __INT32_TYPE__ i32;
typedef __UINT32_TYPE__ u32;
typedef __INT64_TYPE__ i64;
typedef __UINT64_TYPE__ u64;
/** Counts and distances in elements. */
typedef __PTRDIFF_TYPE__ index;

enum Status : i32 { STATUS_OK = 0, STATUS_BAD_ID = 1 };

/**
 * How the instruction at one place of the code may be shared out to threads: its units (rows of a product, vectors of a chain, blocks of a
 * transposed product), which are independent of each other, and about how many nanoseconds it takes. 0: one thread does it. For a loop:
 * the rows of its whole body, or SHARED_INSIDE, where instructions of its body are shared out one by one.
 */
struct Share {
  i32 units;
  i32 cost;
};
enum { SHARED_INSIDE = -1 };

/** The threads of one run. Each has a Run of its own, with slots and scratch of its own. */
struct Crew {
  const Share* shares;  // by place in the code
  i32 count;
  i32 smallest;  // the cost from which an instruction is shared out
  /** Waits for all threads of the crew. True, for all of them, where one came with `stop`. */
  bool (*meet)(Crew&, bool stop);
};

/** One call of the machine: a verified program on three memories. `slots` has room for the program's slots. */
struct Run {
  const i32* encoded;
  float* arena;
  float* state;
  float* io;
  float** slots;
  index ioStride;
  index steps;
  // Null: one thread. Threads but the first have scratch of their own, for registers of chains and panels.
  Crew* crew;
  i32 thread;
  float* scratch;
  // The result: a Status, the id that was out of range, and the place in the code and the step where it happened.
  i32 status;
  i32 detail;
  i32 position;
  i32 step;
};

/** Why a program is refused, and at which integer of its code. */
struct Fault {
  const char* reason;
  i32 position;
};

/** Holds a program against the treaty: structure, operands, and every address that it can touch. */
bool verify(const i32* encoded, i64 length, Fault& fault);

struct InstructionSet {
  const char* name;
  int vector;
  void (*run)(Run&);
};

}  // namespace unrolled

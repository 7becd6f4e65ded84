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

/** One call of the machine: a verified program on three memories. `slots` has room for the program's slots. */
struct Run {
  const i32* encoded;
  float* arena;
  float* state;
  float* io;
  float** slots;
  index ioStride;
  index steps;
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

// What the verifier holds programs to, so that the machine needs no allocation of its own.
#pragma once
#include "machine.h"

namespace unrolled {
enum { header_slots = 2, header_code = 3, header_constants = 4, header_arena = 5, header_state = 6, header_io = 7, HEADER = 8 };
enum { MAXIMUM_OPERANDS = 256, MAXIMUM_LOOPS = 16, MAXIMUM_DIMENSIONS = 32 };
/** Elements that may be read beyond the end of a memory. */
enum { SLACK = 16 };
}  // namespace unrolled

// The instruction sets that this build has, and those that the processor can run.
#pragma once
#include "machine.h"

namespace unrolled {
/** Available sets, the fastest first; gives how many. `all` has room for four. */
int availableSets(const InstructionSet** all);
}  // namespace unrolled

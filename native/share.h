// Which instructions of a program threads may share out.
#pragma once
#include "machine.h"

namespace unrolled {
/**
 * Fills a row for every integer of the code of a verified program. Gives the floats of scratch that a thread needs for the registers and
 * panels of what is shared out.
 */
index findShares(const i32* encoded, Share* shares);
}  // namespace unrolled

// Which instructions of a program threads may share out.
#pragma once
#include "machine.h"

namespace unrolled {
/** Bytes that findShares works in. */
index shareWorkspace(const i32* encoded);

/**
 * Fills a row for every integer of the code of a verified program. Gives the floats of scratch that a thread needs for the registers and
 * panels of what is shared out. `workspace` is aligned to 8 bytes.
 */
index findShares(const i32* encoded, Share* shares, void* workspace);

/** Whether any of so many rows is worth more than one thread. */
bool worthThreads(const Share* shares, i32 count, i32 smallest);
}  // namespace unrolled

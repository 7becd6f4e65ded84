// The threads of WebAssembly: each is an instance of the module on one shared memory, in a worker of its own, which waits here for work.
// What stands in static memory is shared by all of them. Part of hosts/wasm.cc where memory is shared.
#include "limits.h"
#include "share.h"

/** Turns of the loop that looks before it sleeps: about as long as the shortest pieces of work between two meetings. */
enum { PATIENCE = 4000 };

// What waits and wakes stands in functions without a stack frame of their own: the baseline compiler of V8 11 (Node 20) loses a local variable
// around these instructions, which elsewhere is the stack pointer to be restored.
#define LEAF __attribute__((noinline))

/** A count that only grows, and threads that wait until it has changed: they look for a while, then sleep. */
struct Turnstile {
  i32 count;
  i32 sleepers;

  i32 now() const { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }
  LEAF void advance() {
    __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&sleepers, __ATOMIC_SEQ_CST)) __builtin_wasm_memory_atomic_notify(&count, ~0u);
  }
  LEAF void waitBeyond(i32 seen) {
    for (int i = 0; i < PATIENCE; i++)
      if (now() != seen) return;
    __atomic_fetch_add(&sleepers, 1, __ATOMIC_SEQ_CST);
    // Sleeps only while the count is still the one that was seen, so that no call is missed.
    while (now() == seen) __builtin_wasm_memory_atomic_wait32(&count, seen, -1);
    __atomic_fetch_add(&sleepers, -1, __ATOMIC_SEQ_CST);
  }
};

/** Slots and scratch of the threads stand behind each other at `own`. */
struct Job {
  Run run;
  char* own;
  index ownBytes, slotBytes;
  i32 threads;
};

static Job job;
static Crew crew;
static Turnstile starts, dones, turns;
static i32 left, here, stopAsked, stopped;

static bool meet(Crew& all, bool stop) {
  if (stop) __atomic_store_n(&stopAsked, 1, __ATOMIC_SEQ_CST);
  const i32 seen = turns.now();
  if (__atomic_add_fetch(&here, 1, __ATOMIC_SEQ_CST) == all.count) {
    __atomic_store_n(&here, 0, __ATOMIC_SEQ_CST);
    // Read by all before anyone can come to the next meeting.
    __atomic_store_n(&stopped, __atomic_load_n(&stopAsked, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    turns.advance();
  } else {
    turns.waitBeyond(seen);
  }
  return __atomic_load_n(&stopped, __ATOMIC_SEQ_CST);
}

LEAF static void work(i32 thread) {
  Run run = job.run;
  char* own = job.own + thread * job.ownBytes;
  run.slots = (float**)own;
  run.scratch = (float*)(own + job.slotBytes);
  run.crew = &crew;
  run.thread = thread;
  UNROLLED_SET.run(run);
  if (!thread) result = run;
}

// Gives the instance of a thread a stack of its own, before it calls anything else.
__asm__(
    ".globaltype __stack_pointer, i32\n"
    ".section .text.useStack,\"\",@\n"
    ".globl useStack\n"
    ".type useStack,@function\n"
    "useStack:\n"
    ".functype useStack (i32) -> ()\n"
    "local.get 0\n"
    "global.set __stack_pointer\n"
    "end_function\n"
    ".export_name useStack, useStack\n");

EXPORT(shareWorkspace) index workspaceOf(const i32* encoded) { return shareWorkspace(encoded); }
EXPORT(shareSize) index shareSize(const i32* encoded) { return encoded[header_code] * (index)sizeof(Share); }
/** Floats of scratch for each thread. */
EXPORT(findShares) index sharesOf(const i32* encoded, Share* shares, void* workspace) { return findShares(encoded, shares, workspace); }
EXPORT(worthThreads) i32 isWorthThreads(const i32* encoded, const Share* shares, i32 smallest) {
  return worthThreads(shares, encoded[header_code], smallest);
}

/** What a new member must have seen. */
EXPORT(started) i32 started() { return starts.now(); }

/** The life of a thread. Threads of the crew that a job does not ask for only say that they have seen it. */
EXPORT(member) void member(i32 thread, i32 seen) {
  for (;;) {
    starts.waitBeyond(seen);
    seen = starts.now();
    if (thread < job.threads) work(thread);
    if (__atomic_add_fetch(&left, -1, __ATOMIC_SEQ_CST) == 0) dones.advance();
  }
}

/** `members` wait for work; `threads` of them and this one do it. The status. */
EXPORT(runShared)
i32 runShared(const i32* encoded, float* arena, float* state, float* io, char* own, i32 ownBytes, i32 slotBytes, const Share* shares,
              i32 ioStride, i32 steps, i32 members, i32 threads, i32 smallest) {
  crew = {shares, threads, smallest, meet};
  job = {{encoded, arena, state, io, nullptr, ioStride, steps, nullptr, 0, nullptr, 0, 0, 0, 0}, own, ownBytes, slotBytes, threads};
  here = stopAsked = stopped = 0;
  __atomic_store_n(&left, members, __ATOMIC_SEQ_CST);
  starts.advance();
  work(0);
  for (i32 seen = dones.now(); __atomic_load_n(&left, __ATOMIC_SEQ_CST); seen = dones.now()) dones.waitBeyond(seen);
  return result.status;
}

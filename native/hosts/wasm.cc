// The machine as WebAssembly, freestanding. src/vm/wasm-instance.ts is its only caller: it lays out the memory, which begins at `__heap_base`.
#include "machine.h"

namespace unrolled {
extern const InstructionSet UNROLLED_SET;
}

using namespace unrolled;

#define EXPORT(name) extern "C" __attribute__((export_name(#name), visibility("default")))

extern "C" {
extern char __heap_base;

// The compiler may call these for its own loops.
void* memcpy(void* dst, const void* src, __SIZE_TYPE__ bytes) {
  char* d = (char*)dst;
  const char* s = (const char*)src;
  for (__SIZE_TYPE__ i = 0; i < bytes; i++) d[i] = s[i];
  return dst;
}
void* memset(void* dst, int value, __SIZE_TYPE__ bytes) {
  char* d = (char*)dst;
  for (__SIZE_TYPE__ i = 0; i < bytes; i++) d[i] = (char)value;
  return dst;
}
}

static Fault fault;
static Run result;

EXPORT(heapBase) const void* heapBase() { return &__heap_base; }

/** 0 where the program is good; else the address of the reason. */
EXPORT(verify) const char* verifyProgram(const i32* encoded, i32 length) {
  fault = {nullptr, 0};
  return verify(encoded, length, fault) ? nullptr : fault.reason;
}
EXPORT(faultPosition) i32 faultPosition() { return fault.position; }

/** The status; further numbers by the functions below. */
EXPORT(run)
i32 run(const i32* encoded, float* arena, float* state, float* io, float** slots, i32 ioStride, i32 steps) {
  result = {encoded, arena, state, io, slots, ioStride, steps, nullptr, 0, nullptr, 0, 0, 0, 0};
  UNROLLED_SET.run(result);
  return result.status;
}
EXPORT(detail) i32 detail() { return result.detail; }
EXPORT(position) i32 position() { return result.position; }
EXPORT(step) i32 step() { return result.step; }

#ifdef UNROLLED_SHARED_MEMORY
#include "hosts/wasm-threads.inl.h"
#endif

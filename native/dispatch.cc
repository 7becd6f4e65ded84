#include "dispatch.h"

namespace unrolled {

#if defined(__x86_64__) || defined(__i386__)
extern const InstructionSet avx512bf16, avx512, avx2, sse;

int availableSets(const InstructionSet** all) {
  int n = 0;
  __builtin_cpu_init();
  // cpuid, and whether the operating system saves the registers.
  const bool has512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
#ifndef UNROLLED_WITHOUT_BFLOAT16
  if (has512 && __builtin_cpu_supports("avx512bf16")) all[n++] = &avx512bf16;
#endif
  if (has512) all[n++] = &avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all[n++] = &avx2;
  all[n++] = &sse;
  return n;
}
#else
extern const InstructionSet neon;

int availableSets(const InstructionSet** all) {
  all[0] = &neon;
  return 1;
}
#endif

}  // namespace unrolled

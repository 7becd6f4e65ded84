#define VW 16
#define UNROLLED_SET avx512bf16
#define UNROLLED_SET_NAME "avx512bf16"
#include "vm.inl.h"

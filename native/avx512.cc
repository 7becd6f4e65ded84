#define VW 16
#define UNROLLED_SET avx512
#define UNROLLED_SET_NAME "avx512"
#include "vm.inl.h"

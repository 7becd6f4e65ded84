#define VW 8
#define UNROLLED_SET avx2
#define UNROLLED_SET_NAME "avx2"
#include "vm.inl.h"

#define VW 4
#define UNROLLED_SET simd128
#define UNROLLED_SET_NAME "simd128"
#include "vm.inl.h"

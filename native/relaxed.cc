#define VW 4
#define UNROLLED_RELAXED
#define UNROLLED_SET relaxed
#define UNROLLED_SET_NAME "relaxed"
#include "vm.inl.h"

#define VW 4
#define UNROLLED_SET neon
#define UNROLLED_SET_NAME "neon"
#include "vm.inl.h"

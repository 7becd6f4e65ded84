#define VW 4
#define UNROLLED_SET sse
#define UNROLLED_SET_NAME "sse"
#include "vm.inl.h"

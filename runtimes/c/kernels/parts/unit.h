/* Between 0 and 1. */
#include "parts/common.h"

INLINE float unit(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

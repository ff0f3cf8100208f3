/* a * b + c in one rounding, where ONNX Runtime's vectors round once and bytes must come out alike. */
#include "parts/common.h"

/* a is a whole number of eight bits. Without the instruction a double holds the product, and all
   but always the sum. */
INLINE float fused(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF) || (defined(__clang__) && defined(__FMA__))
    return __builtin_fmaf(a, b, c);
#else
    return (float)((double)a * (double)b + (double)c);
#endif
}

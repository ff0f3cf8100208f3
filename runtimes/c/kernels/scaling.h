/* A sum times the factor of its channel, rounded to a whole number, halves to even, and clipped: the
 * result of `(float)sum * factor` in float32, on cores with floats and on cores without. */
#include "common.h"

#if defined(NO_FLOATS)
#include "scaling_whole.h"
#else
typedef float factor_parts;

INLINE factor_parts factor_load(const float *from) { return *from; }

INLINE float factor_value(factor_parts factor) { return factor; }

INLINE int scaled(int32_t sum, factor_parts factor, int low, int high)
{
    float value = (float)sum * factor;
    value = value > (float)low ? value : (float)low;
    return round_even(value < (float)high ? value : (float)high);
}
#endif

/* A sum times the factor of its channel, rounded to a whole number, halves to even, and clipped: the
 * result of `(float)sum * factor` in float32, on cores with floats and on cores without. */
#include "parts/common.h"

#if defined(NO_FLOATS)
#include "parts/scaling_whole.h"
#else
typedef float factor_parts;

INLINE factor_parts factor_load(const float *from) { return *from; }

INLINE float factor_value(factor_parts factor) { return factor; }

/* Clip and round halves to even; low and high are those of a byte, with any zero point taken off. */
INLINE int rounded_between(float value, int low, int high)
{
#if defined(__arm__) && defined(__GNUC__)
    float rounded; /* holds a whole number, the nearest end of them where there is none */
    int32_t whole;
    __asm__("vcvtr.s32.f32 %0, %1" : "=t"(rounded) : "t"(value));
    memcpy(&whole, &rounded, sizeof whole);
    whole = whole > low ? whole : low;
    return whole < high ? whole : high;
#else
    value = value > (float)low ? value : (float)low;
    return round_even(value < (float)high ? value : (float)high);
#endif
}

INLINE int scaled(int32_t sum, factor_parts factor, int low, int high)
{
    return rounded_between((float)sum * factor, low, high);
}
#endif

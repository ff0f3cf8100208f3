/* One number at a time: for any compiler, and for cores without vectors. */
#include "common.h"

enum {
    FLOATS = 1,       /* floats in a vector */
    FLOAT_CHANNELS = 4, /* channels of a block that are computed together */
    FLOAT_PIXELS = 2, /* pixels that are computed together */
    INTS = 1,
    INT_CHANNELS = 4,
    INT_PIXELS = 2
};

typedef float floats;
typedef int32_t ints;

INLINE floats floats_load(const float *from) { return *from; }
INLINE floats floats_all(float value) { return value; }
INLINE floats floats_add(floats a, floats b) { return a + b; }
INLINE floats floats_mul(floats a, floats b) { return a * b; }
INLINE floats floats_max(floats a, floats b) { return a > b ? a : b; }
INLINE floats floats_min(floats a, floats b) { return a < b ? a : b; }
INLINE void floats_store(float *to, floats value) { *to = value; }

/* a * b + c, in one rounding where the core can. */
INLINE floats floats_fma(floats a, floats b, floats c)
{
#if defined(__FP_FAST_FMAF) || defined(__FP_FAST_FMA)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE ints ints_load(const int32_t *from) { return *from; }
INLINE ints ints_none(void) { return 0; }
INLINE ints ints_add(ints a, ints b) { return a + b; }
INLINE ints ints_max(ints a, ints b) { return a > b ? a : b; }

/* A factor for each lane of sums. */
typedef float factors;
INLINE factors factors_load(const float *from) { return *from; }

/* Multiply, clip, round, add the zero point; low and high are without it. */
INLINE void ints_requantise(uint8_t *to, ints sum, factors factor, float low, float high, int zero)
{
    float value = floats_min(floats_max((float)sum * factor, low), high);
    *to = (uint8_t)(round_even(value) + zero);
}

/* Multiply and clip. */
INLINE void ints_scale(float *to, ints sum, factors factor, float low, float high)
{
    *to = floats_min(floats_max((float)sum * factor, low), high);
}

/* Four neighbouring bytes, for ints_dot. */
typedef struct { uint8_t byte[4]; } four;

INLINE four four_load(const uint8_t *from)
{
    four found;
    memcpy(&found, from, 4);
    return found;
}

typedef struct { int8_t byte[4]; } weights_of_four;

INLINE weights_of_four weights_load(const int8_t *from)
{
    weights_of_four found;
    memcpy(&found, from, 4);
    return found;
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    return sum + pixels.byte[0] * weights.byte[0] + pixels.byte[1] * weights.byte[1]
           + pixels.byte[2] * weights.byte[2] + pixels.byte[3] * weights.byte[3];
}

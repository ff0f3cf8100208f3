/* Sums of bytes: making and storing them. */
#include "cpus/simd.h"

/* Add the products of four pixels with four weights to each lane, by the fastest way that is exact. */
INLINE ints ints_dot_of(ints sum, four pixels, weights_of_four weights, int pairs_fit)
{
#if defined(DOT_OF_PAIRS)
    if (pairs_fit)
        return ints_dot_of_pairs(sum, pixels, weights);
#endif
    (void)pairs_fit;
    return ints_dot(sum, pixels, weights);
}

/* The last block may have fewer channels than a vector. */
INLINE void ints_requantise_some(uint8_t *to, ints sum, factors factor, float low, float high,
                                 int zero, int count)
{
    uint8_t all[INTS];
    if (count >= INTS) {
        ints_requantise(to, sum, factor, low, high, zero);
    } else if (count > 0) {
        ints_requantise(all, sum, factor, low, high, zero);
        memcpy(to, all, (size_t)count);
    }
}

INLINE void ints_scale_some(float *to, ints sum, factors factor, float low, float high, int count)
{
    float all[INTS];
    if (count >= INTS) {
        ints_scale(to, sum, factor, low, high);
    } else if (count > 0) {
        ints_scale(all, sum, factor, low, high);
        memcpy(to, all, (size_t)count * sizeof *to);
    }
}

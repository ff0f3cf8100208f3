/* Storing floats. */
#include "cpus/simd.h"

INLINE floats floats_clip(floats value, float low, float high)
{
    return floats_min(floats_max(value, floats_all(low)), floats_all(high));
}

/* The last block may have fewer channels than a vector. */
INLINE void floats_store_some(float *to, floats value, int count)
{
    float all[FLOATS];
    if (count >= FLOATS) {
        floats_store(to, value);
    } else if (count > 0) {
        floats_store(all, value);
        memcpy(to, all, (size_t)count * sizeof *to);
    }
}

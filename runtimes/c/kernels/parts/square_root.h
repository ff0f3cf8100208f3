/* The square root without a library: half the exponent, then Newton's steps.
 *
 * The relative error is below 2e-7; of what is below the smallest normal float it gives zero. */
#include "parts/common.h"

INLINE float square_root(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 1) + 0x1FC00000u;
    float root;
    memcpy(&root, &bits, sizeof root);
    UNROLL for (int step = 0; step < 4; step++)
        root = 0.5f * (root + x / root);
    return x < 1.17549435e-38f ? 0.0f : root;
}

/* e^x without a library: x = n ln 2 + r, and a polynomial of r.
 *
 * After S. L. Moshier's Cephes library, expf. The relative error is below 2e-7; below -86.9 it
 * gives 0, above 88.7 what it gives there. */
#include "parts/common.h"

INLINE float exponential(float x)
{
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.7f ? x : 88.7f;
    const int n = round_even(x * 1.44269504f);
    const float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * r + 1.3981999507e-3f;
    sum = sum * r + 8.3334519073e-3f;
    sum = sum * r + 4.1665795894e-2f;
    sum = sum * r + 1.6666665459e-1f;
    sum = sum * r + 5.0000001201e-1f;
    sum = sum * (r * r) + r + 1.0f;
    /* 2^n in two steps: 2^128 is no float. */
    const uint32_t bits = (uint32_t)(n + 126) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power * 2.0f;
}

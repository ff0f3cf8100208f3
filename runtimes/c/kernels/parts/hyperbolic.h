/* tanh without a library: a polynomial near zero, else by e^x.
 *
 * After S. L. Moshier's Cephes library, tanhf. The relative error is below 3e-7. */
#include "parts/exponential.h"

INLINE float hyperbolic_tangent(float x)
{
    const float size = x < 0 ? -x : x, square = x * x;
    float near = -5.70498872745e-3f;
    near = near * square + 2.06390887954e-2f;
    near = near * square - 5.37397155531e-2f;
    near = near * square + 1.33314422036e-1f;
    near = near * square - 3.33332819422e-1f;
    near = near * square * x + x;
    const float far = 1.0f - 2.0f / (exponential(2.0f * size) + 1.0f);
    return size < 0.625f ? near : x < 0 ? -far : far;
}

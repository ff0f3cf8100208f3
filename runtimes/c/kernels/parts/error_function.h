/* erf without a library: a polynomial near zero, else by e^(-x x).
 *
 * Near zero after S. L. Moshier's Cephes library, erff; else after Abramowitz and Stegun, Handbook
 * of Mathematical Functions, 7.1.26. The error is below 3e-7. */
#include "parts/exponential.h"

INLINE float error_function(float x)
{
    const float size = x < 0 ? -x : x, square = x * x;
    float near = 7.853861353153693e-5f;
    near = near * square - 8.010193625184903e-4f;
    near = near * square + 5.188327685732524e-3f;
    near = near * square - 2.685381193529856e-2f;
    near = near * square + 1.128358514861418e-1f;
    near = near * square - 3.761262582423300e-1f;
    near = (near * square + 1.128379165726710f) * x;
    const float t = 1.0f / (1.0f + 0.3275911f * size);
    float far = 1.061405429f;
    far = far * t - 1.453152027f;
    far = far * t + 1.421413741f;
    far = far * t - 0.284496736f;
    far = far * t + 0.254829592f;
    far = 1.0f - far * t * exponential(-square);
    return size < 1.0f ? near : x < 0 ? -far : far;
}

/* x times the normal distribution of x, by a hyperbolic tangent: floats. */
#include "parts/hyperbolic.h"

struct gelu_tanh_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void gelu_tanh_f32(const float *in, float *out, const struct gelu_tanh_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] =
                0.5f * x * (1.0f + hyperbolic_tangent(0.79788456f * (x + 0.044715f * x * x * x)));
        }
}

/* x times the normal distribution of x: floats. */
#include "parts/error_function.h"

struct gelu_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void gelu_f32(const float *in, float *out, const struct gelu_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = 0.5f * x * (1.0f + error_function(x * 0.70710678f));
        }
}

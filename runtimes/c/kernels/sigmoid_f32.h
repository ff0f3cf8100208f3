/* 1 / (1 + e^-x) of each number: floats. */
#include "parts/exponential.h"

struct sigmoid_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void sigmoid_f32(const float *in, float *out, const struct sigmoid_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = 1.0f / (1.0f + exponential(-x));
        }
}

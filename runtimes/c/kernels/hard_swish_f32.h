/* Each number times its HardSigmoid, (x + 3) / 6 between 0 and 1: floats. */
#include "parts/unit.h"

struct hard_swish_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void hard_swish_f32(const float *in, float *out, const struct hard_swish_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = x * unit(x * (1.0f / 6.0f) + 0.5f);
        }
}

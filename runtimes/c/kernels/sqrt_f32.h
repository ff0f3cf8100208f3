/* The square root of each number: floats. */
#include "parts/square_root.h"

struct sqrt_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void sqrt_f32(const float *in, float *out, const struct sqrt_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = square_root(x);
        }
}

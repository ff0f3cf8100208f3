/* A tensor, copied into a part of a larger one. */
#include "parts/common.h"

struct place_f32 {
    int height, width, channels;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    int top, left, channel;          /* where in the output the first one goes */
};

INLINE void place_f32(const float *in, float *out, const struct place_f32 *s)
{
    out += s->top * s->out_row + s->left * s->out_pixel + s->channel;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            memcpy(out + y * s->out_row + x * s->out_pixel,
                   in + y * s->in_row + x * s->in_pixel, (size_t)s->channels * sizeof *out);
}

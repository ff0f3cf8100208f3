/* One tensor over another: floats. What is repeated along an axis has a step of 0 there. */
#include "parts/common.h"

struct div_f32 {
    int height, width, channels;
    int in_row, in_pixel, in_step;   /* steps to the next row, pixel and channel, in numbers */
    int other_row, other_pixel, other_step;
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

INLINE void div_f32(const float *in, const float *other, float *out, const struct div_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            const float *left = in + y * s->in_row + x * s->in_pixel;
            const float *right = other + y * s->other_row + x * s->other_pixel;
            float *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = 0; c < s->channels; c++) {
                const float one = left[c * s->in_step], two = right[c * s->other_step];
                const float found = one / two;
                const float most = found < s->high ? found : s->high;
                to[c] = most > s->low ? most : s->low;
            }
        }
}

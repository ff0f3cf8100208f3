/* Clip each number: floats. */
#include "parts/common.h"

struct clip_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    float low, high;
};

INLINE void clip_f32(const float *in, float *out, const struct clip_f32 *s)
{
    const float low = (float)s->low, high = (float)s->high;
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float number = in[y * s->in_row + i];
            const float most = number < high ? number : high;
            out[y * s->out_row + i] = most > low ? most : low;
        }
}

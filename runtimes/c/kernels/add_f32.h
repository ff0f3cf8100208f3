/* Two pictures of the same size, added: floats. */
#include "common.h"

struct add_f32 {
    int height, width, channels;
    int in_row, other_row, out_row;  /* steps to the next row, in numbers */
    float low, high;                 /* what the output is clipped to */
};

INLINE void add_f32(const float *in, const float *other, float *out, const struct add_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            float sum = in[y * s->in_row + i] + other[y * s->other_row + i];
            sum = sum > s->low ? sum : s->low;
            out[y * s->out_row + i] = sum < s->high ? sum : s->high;
        }
}

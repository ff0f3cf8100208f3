/* Two tensors, added: floats. What is repeated along an axis has a step of 0 there. */
#include "parts/store_f32.h"

struct add_f32 {
    int height, width, channels;
    int in_row, in_pixel, in_step;   /* steps to the next row, pixel and channel, in numbers */
    int other_row, other_pixel, other_step;
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

/* What whole vectors hold of numbers without gaps; gives how many these are. */
INLINE int add_f32_vectors(const float *in, const float *other, float *out, int count,
                           const struct add_f32 *s)
{
    const int last = s->in_step == 1 && s->other_step == 1 ? count - FLOATS : -1;
    int i = 0;
    ROLL for (; i <= last; i += FLOATS)
        floats_store(out + i, floats_clip(floats_add(floats_load(in + i), floats_load(other + i)),
                                          s->low, s->high));
    return i;
}

INLINE void add_f32(const float *in, const float *other, float *out, const struct add_f32 *s)
{
    const int whole = s->in_pixel == s->channels && s->other_pixel == s->channels
                      && s->out_pixel == s->channels && s->in_step == 1 && s->other_step == 1;
    const int width = whole ? 1 : s->width, channels = whole ? s->width * s->channels : s->channels;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < width; x++) {
            const float *left = in + y * s->in_row + x * s->in_pixel;
            const float *right = other + y * s->other_row + x * s->other_pixel;
            float *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = add_f32_vectors(left, right, to, channels, s); c < channels; c++) {
                const float found = left[c * s->in_step] + right[c * s->other_step];
                const float most = found < s->high ? found : s->high;
                to[c] = most > s->low ? most : s->low;
            }
        }
}

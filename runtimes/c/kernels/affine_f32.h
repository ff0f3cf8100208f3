/* Each number of a picture times its channel's factor, and shifted: a normalisation. */
#include "parts/common.h"

struct affine_f32 {
    int height, width, channels;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

INLINE void affine_f32(const float *in, float *out, const float *factor, const float *shift,
                       const struct affine_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            const float *from = in + y * s->in_row + x * s->in_pixel;
            float *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = 0; c < s->channels; c++) {
                const float value = from[c] * factor[c] + shift[c];
                const float most = value < s->high ? value : s->high;
                to[c] = most > s->low ? most : s->low;
            }
        }
}

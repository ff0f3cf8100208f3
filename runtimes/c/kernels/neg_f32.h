/* Each number with the other sign: floats. */
#include "parts/common.h"

struct neg_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void neg_f32(const float *in, float *out, const struct neg_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = -x;
        }
}

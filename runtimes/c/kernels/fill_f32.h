/* One number everywhere: what a Pad puts around. */
#include "parts/common.h"

struct fill_f32 {
    int height, width, channels;
    int out_row;                     /* steps to the next row, in numbers */
    float value;
};

INLINE void fill_f32(float *out, const struct fill_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++)
            out[y * s->out_row + i] = s->value;
}

/* Pixels into what the net was trained on: each times its channel's factor, less its offset. */
#include "parts/common.h"

struct pixels_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void pixels_f32(const uint8_t *in, float *out, const float *factor, const float *offset,
                       const struct pixels_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            for (int c = 0; c < s->channels; c++) {
                const float scaled = product(in[y * s->in_row + x * s->channels + c], factor[c]);
                out[y * s->out_row + x * s->channels + c] = scaled - offset[c];
            }
}

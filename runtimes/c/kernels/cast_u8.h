/* Floats into unsigned bytes: what is behind the point is cut off. */
#include "parts/common.h"

struct cast_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void cast_u8(const float *in, uint8_t *out, const struct cast_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float value = in[y * s->in_row + i];
            out[y * s->out_row + i] = (uint8_t)(value > 0 ? value < 255 ? value : 255 : 0);
        }
}

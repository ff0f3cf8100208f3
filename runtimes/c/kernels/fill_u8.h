/* One number everywhere: what a Pad puts around. */
#include "parts/common.h"

struct fill_u8 {
    int height, width, channels;
    int out_row;                     /* steps to the next row, in bytes */
    int value;
};

INLINE void fill_u8(uint8_t *out, const struct fill_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++)
            out[y * s->out_row + i] = (uint8_t)s->value;
}

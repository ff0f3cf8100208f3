/* A function of each byte, looked up; what it gives may be a part of a larger picture. */
#include "parts/lookup.h"

struct table_u8 {
    int height, width, channels;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int top, left, channel;          /* where in the output the first one goes */
};

INLINE void table_u8(const uint8_t *in, uint8_t *out, const uint8_t *table, const struct table_u8 *s)
{
    out += s->top * s->out_row + s->left * s->out_pixel + s->channel;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            look_up(in + y * s->in_row + x * s->in_pixel, out + y * s->out_row + x * s->out_pixel,
                    table, s->channels);
}

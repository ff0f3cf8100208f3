/* A picture, copied: into a buffer with a border, or out of one. */
#include "parts/common.h"

struct copy_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
};

INLINE void copy_u8(const uint8_t *in, uint8_t *out, const struct copy_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        memcpy(out + y * s->out_row, in + y * s->in_row,
               (size_t)(s->width * s->channels) * sizeof *out);
}

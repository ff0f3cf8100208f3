/* A picture in another size: each pixel is one of the old ones. */
#include "parts/common.h"

struct resize_nearest_u8 {
    int height, width, channels;     /* of the output */
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
};

INLINE void resize_nearest_u8(const uint8_t *in, uint8_t *out, const int32_t *rows,
                               const int32_t *columns, const struct resize_nearest_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            memcpy(out + y * s->out_row + x * s->out_pixel,
                   in + rows[y] * s->in_row + columns[x] * s->in_pixel,
                   (size_t)s->channels * sizeof *out);
}

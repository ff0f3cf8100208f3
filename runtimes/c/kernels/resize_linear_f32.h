/* A picture in another size: each pixel is a mixture of four old ones. */
#include "parts/common.h"

struct resize_linear_f32 {
    int height, width, channels;     /* of the output */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
};

/* rows and columns: where the two old ones are; their shares follow in the same order. */
INLINE void resize_linear_f32(const float *in, float *out, const int32_t *rows,
                              const float *row_shares, const int32_t *columns,
                              const float *column_shares, const struct resize_linear_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            const float *above = in + rows[2 * y] * s->in_row, *below = in + rows[2 * y + 1] * s->in_row;
            const int left = columns[2 * x] * s->in_pixel, right = columns[2 * x + 1] * s->in_pixel;
            const float up = row_shares[2 * y], down = row_shares[2 * y + 1];
            const float west = column_shares[2 * x], east = column_shares[2 * x + 1];
            float *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = 0; c < s->channels; c++)
                to[c] = up * west * above[left + c] + up * east * above[right + c]
                        + down * west * below[left + c] + down * east * below[right + c];
        }
}

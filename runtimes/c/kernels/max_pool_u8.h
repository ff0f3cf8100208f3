/* The largest number of each window of a picture, channels last: unsigned bytes. No window lies wholly
 * beside the picture. */
#include "cpus/simd.h"
#include "parts/window.h"

struct max_pool_u8 {
    int height, width, channels;     /* of the output; the input has as many channels */
    int in_height, in_width;
    int rows, columns;               /* of the window */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* rows and columns before the picture, which hold nothing */
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
};

/* `in` points to the first byte of the window. */
INLINE void max_pool_u8_window(const uint8_t *in, uint8_t *out, const struct max_pool_u8 *s, int rows,
                               int columns)
{
    const int down = s->dilation_y * s->in_row, right = s->dilation_x * s->in_pixel;
    for (int c = 0; c < s->channels; c += BYTES) {
        uint8_t all[BYTES];
        bytes most = bytes_load(in + c);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                most = bytes_max(most, bytes_load(in + i * down + j * right + c));
        if (c + BYTES <= s->channels) {
            bytes_store(out + c, most);
        } else {
            bytes_store(all, most);
            memcpy(out + c, all, (size_t)(s->channels - c));
        }
    }
}

INLINE void max_pool_u8(const uint8_t *in, uint8_t *out, const struct max_pool_u8 *s)
{
    for (int y = 0; y < s->height; y++) {
        const int row = y * s->stride_y - s->top, above = window_first(row, s->dilation_y);
        const int rows = window_end(row, s->dilation_y, s->rows, s->in_height) - above;
        for (int x = 0; x < s->width; x++) {
            const int column = x * s->stride_x - s->left, before = window_first(column, s->dilation_x);
            const int columns = window_end(column, s->dilation_x, s->columns, s->in_width) - before;
            const uint8_t *from = in + (row + above * s->dilation_y) * s->in_row
                                  + (column + before * s->dilation_x) * s->in_pixel;
            max_pool_u8_window(from, out + y * s->out_row + x * s->out_pixel, s, rows, columns);
        }
    }
}

/* The largest number of each window of a picture, channels last: unsigned bytes. */
#include "common.h"

struct max_pool_u8 {
    int height, width, channels;     /* of the output; the input has as many channels */
    int in_height, in_width;
    int rows, columns;               /* of the window */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* rows and columns before the picture, which hold nothing */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
};

INLINE void max_pool_u8(const uint8_t *in, uint8_t *out, const struct max_pool_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            uint8_t *to = out + y * s->out_row + x * s->out_pixel;
            int first = 1;
            for (int i = 0; i < s->rows; i++)
                for (int j = 0; j < s->columns; j++) {
                    const int row = y * s->stride_y - s->top + i * s->dilation_y;
                    const int column = x * s->stride_x - s->left + j * s->dilation_x;
                    if (row < 0 || row >= s->in_height || column < 0 || column >= s->in_width)
                        continue;
                    const uint8_t *from = in + row * s->in_row + column * s->in_pixel;
                    for (int c = 0; c < s->channels; c++)
                        to[c] = first || from[c] > to[c] ? from[c] : to[c];
                    first = 0;
                }
        }
}

/* The largest number of each window of a picture, channels last: floats. No window lies wholly beside
 * the picture. */
#include "parts/store_f32.h"
#include "parts/window.h"

struct max_pool_f32 {
    int height, width, channels;     /* of the output; the input has as many channels */
    int in_height, in_width;
    int rows, columns;               /* of the window */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* rows and columns before the picture, which hold nothing */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
};

/* `in` points to the first number of the window. */
INLINE void max_pool_f32_window(const float *in, float *out, const struct max_pool_f32 *s, int rows,
                                int columns)
{
    const int down = s->dilation_y * s->in_row, right = s->dilation_x * s->in_pixel;
    for (int c = 0; c < s->channels; c += FLOATS) {
        floats most = floats_load(in + c);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                most = floats_max(most, floats_load(in + i * down + j * right + c));
        floats_store_some(out + c, most, s->channels - c);
    }
}

INLINE void max_pool_f32(const float *in, float *out, const struct max_pool_f32 *s)
{
    for (int y = 0; y < s->height; y++) {
        const int row = y * s->stride_y - s->top, above = window_first(row, s->dilation_y);
        const int rows = window_end(row, s->dilation_y, s->rows, s->in_height) - above;
        for (int x = 0; x < s->width; x++) {
            const int column = x * s->stride_x - s->left, before = window_first(column, s->dilation_x);
            const int columns = window_end(column, s->dilation_x, s->columns, s->in_width) - before;
            const float *from = in + (row + above * s->dilation_y) * s->in_row
                                + (column + before * s->dilation_x) * s->in_pixel;
            max_pool_f32_window(from, out + y * s->out_row + x * s->out_pixel, s, rows, columns);
        }
    }
}

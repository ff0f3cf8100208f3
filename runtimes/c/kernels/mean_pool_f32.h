/* The mean of each window of a picture, channels last: floats. */
#include "parts/store_f32.h"
#include "parts/window.h"

struct mean_pool_f32 {
    int height, width, channels;     /* of the output; the input has as many channels */
    int in_height, in_width;
    int rows, columns;               /* of the window */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* rows and columns before the picture, which are zeros */
    int counted_top, counted_left;   /* what of these counts in the mean */
    int counted_height, counted_width; /* the picture, and what is counted before and behind it */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

/* `in` points to the first number of the window. */
INLINE void mean_pool_f32_window(const float *in, float *out, const struct mean_pool_f32 *s, int rows,
                                 int columns, float share)
{
    const int down = s->dilation_y * s->in_row, right = s->dilation_x * s->in_pixel;
    for (int c = 0; c < s->channels; c += FLOATS) {
        floats sum = floats_all(0);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                sum = floats_add(sum, floats_load(in + i * down + j * right + c));
        const floats least = floats_max(floats_mul(sum, floats_all(share)), floats_all(s->low));
        floats_store_some(out + c, floats_min(least, floats_all(s->high)), s->channels - c);
    }
}

INLINE void mean_pool_f32(const float *in, float *out, const struct mean_pool_f32 *s)
{
    for (int y = 0; y < s->height; y++) {
        const int row = y * s->stride_y - s->top, above = window_first(row, s->dilation_y);
        const int rows = window_end(row, s->dilation_y, s->rows, s->in_height) - above;
        const int high = window_end(row + s->counted_top, s->dilation_y, s->rows, s->counted_height)
                         - window_first(row + s->counted_top, s->dilation_y);
        for (int x = 0; x < s->width; x++) {
            const int column = x * s->stride_x - s->left, before = window_first(column, s->dilation_x);
            const int columns = window_end(column, s->dilation_x, s->columns, s->in_width) - before;
            const int wide = window_end(column + s->counted_left, s->dilation_x, s->columns, s->counted_width)
                             - window_first(column + s->counted_left, s->dilation_x);
            const float *from = in + (row + above * s->dilation_y) * s->in_row
                                + (column + before * s->dilation_x) * s->in_pixel;
            mean_pool_f32_window(from, out + y * s->out_row + x * s->out_pixel, s, rows, columns,
                                 1.0f / (float)(high * wide));
        }
    }
}

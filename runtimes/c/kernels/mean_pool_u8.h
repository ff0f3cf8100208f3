/* The mean of each window of a picture, channels last: unsigned bytes, as ONNX Runtime's
 * QLinearAveragePool has it: sums of floats in the order of the pixels, each step rounded. */
#include "parts/window.h"

struct mean_pool_u8 {
    int height, width, channels;     /* of the output; the input has as many channels */
    int in_height, in_width;
    int rows, columns;               /* of the window */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* rows and columns before the picture, which are zeros */
    int divisor;                     /* 0: as many numbers as lie in the picture */
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int in_zero;
    float in_scale;
    float scale, zero;               /* of the output */
};

/* `in` points to the first byte of the window. */
INLINE void mean_pool_u8_window(const uint8_t *in, uint8_t *out, const struct mean_pool_u8 *s, int rows,
                                int columns)
{
    const int down = s->dilation_y * s->in_row, right = s->dilation_x * s->in_pixel;
    const float divisor = (float)(s->divisor ? s->divisor : rows * columns);
    for (int c = 0; c < s->channels; c++) {
        float sum = 0.0f;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                sum += s->in_scale * (float)(in[i * down + j * right + c] - s->in_zero);
        const float value = sum / divisor / s->scale + s->zero;
        const float least = value > 0.0f ? value : 0.0f;
        out[c] = (uint8_t)round_even(least < 255.0f ? least : 255.0f);
    }
}

INLINE void mean_pool_u8(const uint8_t *in, uint8_t *out, const struct mean_pool_u8 *s)
{
    for (int y = 0; y < s->height; y++) {
        const int row = y * s->stride_y - s->top, above = window_first(row, s->dilation_y);
        const int rows = window_end(row, s->dilation_y, s->rows, s->in_height) - above;
        for (int x = 0; x < s->width; x++) {
            const int column = x * s->stride_x - s->left, before = window_first(column, s->dilation_x);
            const int columns = window_end(column, s->dilation_x, s->columns, s->in_width) - before;
            const uint8_t *from = in + (row + above * s->dilation_y) * s->in_row
                                  + (column + before * s->dilation_x) * s->in_pixel;
            mean_pool_u8_window(from, out + y * s->out_row + x * s->out_pixel, s, rows, columns);
        }
    }
}

/* Transposed convolution of a picture, channels last, in groups: floats in, floats out.
 *
 * Computed from the output: every stride-th pixel of a row meets the same pixels of the kernel, and
 * its neighbours in the input, so some of them are computed together. Weights lie in blocks of 16
 * output channels: [groups][channels / 16][rows][columns][run][16]. `in` points to what is around the
 * picture, which is in the buffer, and holds zeros. */
#include "parts/store_f32.h"

struct conv_transpose_f32 {
    int groups;
    int height, width, channels;     /* of the output; channels of one group */
    int rows, columns, run;          /* of the kernel; a run is one pixel's channels of a group */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int top, left;                   /* from the output's first pixel to what `in` points to */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

/* Add what one pixel of the kernel gives to some pixels of the output. */
INLINE void conv_transpose_f32_add(floats *sums, const float *in, const float *weights,
                                   const struct conv_transpose_f32 *s, int pixels)
{
    ROLL for (int k = 0; k < s->run; k++) {
        const floats weight = floats_load(weights + k * BLOCK);
        UNROLL for (int p = 0; p < pixels; p++)
            sums[p] = floats_fma(floats_all(in[p * s->in_pixel + k]), weight, sums[p]);
    }
}

/* Some pixels of a row, a stride from one to the next, and one vector of channels. */
INLINE void conv_transpose_f32_tile(const float *in, float *out, const float *weights,
                                    const float *bias, const struct conv_transpose_f32 *s, int y, int x,
                                    int pixels, int channels)
{
    floats sums[FLOAT_PIXELS];
    UNROLL for (int p = 0; p < pixels; p++)
        sums[p] = floats_load(bias);
    ROLL for (int i = 0; i < s->rows; i++)
        ROLL for (int j = 0; j < s->columns; j++, weights += s->run * BLOCK) {
            const int row = y + s->top - i * s->dilation_y, column = x + s->left - j * s->dilation_x;
            if (row % s->stride_y == 0 && column % s->stride_x == 0)
                conv_transpose_f32_add(
                    sums, in + row / s->stride_y * s->in_row + column / s->stride_x * s->in_pixel,
                    weights, s, pixels);
        }
    UNROLL for (int p = 0; p < pixels; p++) {
        const floats least = floats_max(sums[p], floats_all(s->low));
        floats_store_some(out + y * s->out_row + (x + p * s->stride_x) * s->out_pixel,
                          floats_min(least, floats_all(s->high)), channels);
    }
}

/* All pixels, one vector of channels. */
INLINE void conv_transpose_f32_block(const float *in, float *out, const float *weights,
                                     const float *bias, const struct conv_transpose_f32 *s, int channels)
{
    ROLL for (int y = 0; y < s->height; y++)
        ROLL for (int first = 0; first < smaller(s->stride_x, s->width); first++) {
            int x = first;
            ROLL for (; x + (FLOAT_PIXELS - 1) * s->stride_x < s->width; x += FLOAT_PIXELS * s->stride_x)
                conv_transpose_f32_tile(in, out, weights, bias, s, y, x, FLOAT_PIXELS, channels);
            ROLL for (; x < s->width; x += s->stride_x)
                conv_transpose_f32_tile(in, out, weights, bias, s, y, x, 1, channels);
        }
}

INLINE void conv_transpose_f32(const float *in, float *out, const float *weights, const float *bias,
                               const struct conv_transpose_f32 *s)
{
    const int block = s->rows * s->columns * s->run * BLOCK;
    const int blocks = (s->channels + BLOCK - 1) / BLOCK;
    ROLL for (int g = 0; g < s->groups; g++)
        ROLL for (int c = 0; c < s->channels; c += FLOATS)
            conv_transpose_f32_block(in + g * s->run, out + g * s->channels + c,
                                     weights + (g * blocks + c / BLOCK) * block + c % BLOCK,
                                     bias + g * blocks * BLOCK + c, s, s->channels - c);
}

/* Convolution of a picture, channels last: unsigned bytes in, unsigned bytes out.
 *
 * Each sum is multiplied by its channel's factor, clipped and rounded once, as ONNX Runtime does it. */
#include "parts/conv_sums_u8.h"

struct conv_u8 {
    int groups;                      /* of channels: each sees its own part of the input only */
    int height, width, channels;     /* of the output; channels of one group */
    int rows, runs, run;             /* of the kernel; a run in bytes, a multiple of four */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int pool_rows, pool_columns;     /* of these windows' places, the largest sum is the output's */
    int pairs_fit;                   /* two neighbouring weights times bytes always fit 16 bits */
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

INLINE void conv_u8_tile(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                        const float *factor, const struct conv_u8 *s, int pixels, int channels)
{
    const struct conv_sums_u8 window = {s->rows, s->runs, s->run, s->dilation_y * s->in_row,
                                        s->dilation_x * s->in_pixel,
                                        s->pool_columns * s->stride_x * s->in_pixel, s->pairs_fit};
    const int vectors = conv_vectors(channels);
    const struct conv_u8 *end = s;
    ints sums[INT_PIXELS * CONV_VECTORS][CONV_VECTORS], most[INT_PIXELS * CONV_VECTORS][CONV_VECTORS];
    conv_sums_u8(most, in, weights, bias, &window, pixels, vectors);
    ROLL for (int i = 1; i < s->pool_rows * s->pool_columns; i++) {
        const int y = i / s->pool_columns * s->stride_y, x = i % s->pool_columns * s->stride_x;
        conv_sums_u8(sums, in + y * s->in_row + x * s->in_pixel, weights, bias, &window, pixels, vectors);
        UNROLL for (int p = 0; p < pixels; p++)
            UNROLL for (int v = 0; v < vectors; v++)
                most[p][v] = ints_max(most[p][v], sums[p][v]);
    }
    FORGET(factor);
    FORGET(end);
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            ints_requantise_some(out + p * s->out_pixel + v * INTS, most[p][v],
                                 factors_load(factor + v * INTS), end->low, end->high, end->zero,
                                 channels - v * INTS);
}

/* All pixels, some channels of one block. */
INLINE void conv_u8_block(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                         const float *factor, const struct conv_u8 *s, int channels)
{
    const int length = tile_length(s->width, conv_pixels(channels)), shorter = length - 1;
    const int step = s->pool_columns * s->stride_x * s->in_pixel;
    const int row = s->pool_rows * s->stride_y * s->in_row;
    int32_t own[INT_CHANNELS];
    const int32_t *const from = conv_bias(own, bias, weights, s->rows * s->runs * s->run,
                                          conv_vectors(channels));
    ROLL for (int y = 0; y < s->height; y++, in += row, out += s->out_row) {
        int x = 0;
        ROLL for (; x < length * tiles_of_length(s->width, length); x += length)
            conv_u8_tile(in + x * step, out + x * s->out_pixel, weights, from, factor, s, length, channels);
        ROLL for (; x < s->width; x += shorter)
            conv_u8_tile(in + x * step, out + x * s->out_pixel, weights, from, factor, s, shorter, channels);
    }
}

INLINE void conv_u8_group(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                          const float *factor, const struct conv_u8 *s)
{
    const int block = s->rows * s->runs * s->run * BLOCK, rest = s->channels % INT_CHANNELS;
    int c = 0;
    ROLL for (; c + INT_CHANNELS <= s->channels; c += INT_CHANNELS)
        conv_u8_block(in, out + c, weights + c / BLOCK * block + c % BLOCK * 4, bias + c, factor + c, s,
                    INT_CHANNELS);
    if (rest > 0)
        conv_u8_block(in, out + c, weights + c / BLOCK * block + c % BLOCK * 4, bias + c, factor + c, s,
                    rest);
}

INLINE void conv_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                    const float *factor, const struct conv_u8 *s)
{
    const int filled = (s->channels + BLOCK - 1) / BLOCK * BLOCK;
    const int size = s->rows * s->runs * s->run * filled, channels = s->in_pixel / s->groups;
    ROLL for (int g = 0; g < s->groups; g++)
        conv_u8_group(in + g * channels, out + g * s->channels, weights + g * size, bias + g * filled,
                      factor + g * filled, s);
}

/* Convolution of a picture, channels last: unsigned bytes in, unsigned bytes out.
 *
 * Sums are exact 32-bit integers; each is multiplied by its channel's factor, clipped and rounded
 * once, as ONNX Runtime does it. Weights lie in blocks of 16 output channels:
 * [channels / 16][rows][runs][run / 4][16][4]. A run is what lies without a gap in a row of the
 * kernel, filled up with weights of zero to a multiple of four: up to three bytes behind it are
 * read, and do not matter. `in` points to where the first window begins: what is around the picture
 * is in the buffer, and holds the zero point, which the bias has taken off. */
#include "dot_u8.h"

struct conv_u8 {
    int height, width, channels;     /* of the output */
    int rows, runs, run;             /* of the kernel; a run in bytes, a multiple of four */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

INLINE void conv_u8_tile(const uint8_t *in, uint8_t *out, const int8_t *weights,
                         const int32_t *bias, const float *factor, const struct conv_u8 *s,
                         int pixels, int channels)
{
    enum { VECTORS = INT_CHANNELS / INTS };
    ints sums[INT_PIXELS][VECTORS];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sums[p][v] = ints_load(bias + v * INTS);
    for (int y = 0; y < s->rows; y++) {
        for (int x = 0; x < s->runs; x++) {
            const uint8_t *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            for (int k = 0; k < s->run; k += 4, weights += 4 * BLOCK) {
                UNROLL for (int p = 0; p < pixels; p++) {
                    four bytes = four_load(at + p * s->stride_x * s->in_pixel + k);
                    UNROLL for (int v = 0; v < VECTORS; v++)
                        sums[p][v] = ints_dot(sums[p][v], bytes, weights_load(weights + v * 4 * INTS));
                }
            }
        }
    }
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            ints_requantise_some(out + p * s->out_pixel + v * INTS, sums[p][v],
                                 factors_load(factor + v * INTS), s->low, s->high, s->zero,
                                 channels - v * INTS);
}

INLINE void conv_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                    const float *factor, const struct conv_u8 *s)
{
    const int block = s->rows * s->runs * s->run * BLOCK;
    for (int c = 0; c < s->channels; c += INT_CHANNELS) {
        const int8_t *packed = weights + c / BLOCK * block + c % BLOCK * 4;
        const int channels = s->channels % INT_CHANNELS ? s->channels - c : INT_CHANNELS;
        for (int y = 0; y < s->height; y++) {
            const uint8_t *row = in + y * s->stride_y * s->in_row;
            uint8_t *to = out + y * s->out_row + c;
            int x = 0;
            for (; x + INT_PIXELS <= s->width; x += INT_PIXELS)
                conv_u8_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                             bias + c, factor + c, s, INT_PIXELS, channels);
            for (; x + 2 <= s->width; x += 2)
                conv_u8_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                             bias + c, factor + c, s, 2, channels);
            for (; x < s->width; x++)
                conv_u8_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                             bias + c, factor + c, s, 1, channels);
        }
    }
}

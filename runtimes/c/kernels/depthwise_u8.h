/* Convolution of each channel by itself: unsigned bytes in, unsigned bytes out.
 *
 * Sums are exact; each is multiplied by its channel's factor, clipped and rounded once, as ONNX
 * Runtime does it. Weights lie in blocks of 16 channels: [channels / 16][rows][columns][16]. With a
 * multiplier, each input channel becomes so many output channels. `in` points to where the first
 * window begins: what is around the picture is in the buffer, and holds the zero point. */
#include "parts/dot_u8.h"
#include "parts/tiles.h"

struct depthwise_u8 {
    int height, width, channels;     /* of the output */
    int rows, columns;               /* of the kernel */
    int multiplier;                  /* output channels for each input channel */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

/* The input's bytes for neighbouring output channels; what is behind the last one does not matter. */
INLINE shorts depthwise_u8_load(const uint8_t *in, int channel, int multiplier)
{
    uint8_t repeated[INTS];
    if (multiplier == 1)
        return shorts_of_bytes(in + channel);
    for (int i = 0; i < INTS; i++)
        repeated[i] = in[(channel + i) / multiplier];
    return shorts_of_bytes(repeated);
}

/* Some pixels beside one another, one vector of channels: all sums stay in registers. */
INLINE void depthwise_u8_tile(const uint8_t *in, uint8_t *out, const int8_t *weights,
                              const int32_t *bias, const float *factor,
                              const struct depthwise_u8 *s, int pixels, int channel)
{
    lanes sums[INT_PIXELS];
    UNROLL for (int p = 0; p < pixels; p++)
        sums[p] = lanes_load(bias + channel);
    ROLL for (int y = 0; y < s->rows; y++)
        UNROLL for (int x = 0; x < s->columns; x++, weights += BLOCK) {
            const uint8_t *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            const shorts weight = shorts_of_weights(weights);
            UNROLL for (int p = 0; p < pixels; p++) {
                const uint8_t *pixel = at + p * s->stride_x * s->in_pixel;
                sums[p] = lanes_add_product(sums[p], depthwise_u8_load(pixel, channel, s->multiplier),
                                            weight);
            }
        }
    UNROLL for (int p = 0; p < pixels; p++)
        ints_requantise_some(out + p * s->out_pixel + channel, ints_of_lanes(sums[p]),
                             factors_load(factor + channel), s->low, s->high, s->zero,
                             s->channels - channel);
}

/* A row of pixels, one vector of channels. */
INLINE void depthwise_u8_row(const uint8_t *in, uint8_t *out, const int8_t *weights,
                             const int32_t *bias, const float *factor,
                             const struct depthwise_u8 *s, int channel)
{
    const int length = tile_length(s->width, INT_PIXELS), shorter = length - 1;
    const int step = s->stride_x * s->in_pixel;
    int x = 0;
    ROLL for (; x < length * tiles_of_length(s->width, length); x += length)
        depthwise_u8_tile(in + x * step, out + x * s->out_pixel, weights, bias, factor, s, length,
                          channel);
    ROLL for (; x < s->width; x += shorter)
        depthwise_u8_tile(in + x * step, out + x * s->out_pixel, weights, bias, factor, s, shorter,
                          channel);
}

INLINE void depthwise_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                         const float *factor, const struct depthwise_u8 *s)
{
    const int block = s->rows * s->columns * BLOCK;
    ROLL for (int y = 0; y < s->height; y++)
        ROLL for (int c = 0; c < s->channels; c += INTS)
            depthwise_u8_row(in + y * s->stride_y * s->in_row, out + y * s->out_row,
                             weights + c / BLOCK * block + c % BLOCK, bias, factor, s, c);
}

/* Convolution of each channel by itself: floats in, floats out.
 *
 * Weights lie in blocks of 16 channels: [channels / 16][rows][columns][16]. With a multiplier, each
 * input channel becomes so many output channels. `in` points to where the first window begins: what is
 * around the picture is in the buffer, and holds zeros. */
#include "parts/store_f32.h"
#include "parts/tiles.h"

struct depthwise_f32 {
    int height, width, channels;     /* of the output */
    int rows, columns;               /* of the kernel */
    int multiplier;                  /* output channels for each input channel */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

/* The input's numbers for neighbouring output channels; what is behind the last one does not matter. */
INLINE floats depthwise_f32_load(const float *in, int channel, int multiplier)
{
    float repeated[FLOATS];
    if (multiplier == 1)
        return floats_load(in + channel);
    for (int i = 0; i < FLOATS; i++)
        repeated[i] = in[(channel + i) / multiplier];
    return floats_load(repeated);
}

/* Some pixels beside one another, one vector of channels: all sums stay in registers. */
INLINE void depthwise_f32_tile(const float *in, float *out, const float *weights, const float *bias,
                               const struct depthwise_f32 *s, int pixels, int channel)
{
    const floats low = floats_all(s->low), high = floats_all(s->high);
    floats sums[FLOAT_PIXELS];
    UNROLL for (int p = 0; p < pixels; p++)
        sums[p] = floats_load(bias + channel);
    ROLL for (int y = 0; y < s->rows; y++)
        UNROLL for (int x = 0; x < s->columns; x++, weights += BLOCK) {
            const float *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            const floats weight = floats_load(weights);
            UNROLL for (int p = 0; p < pixels; p++) {
                const float *pixel = at + p * s->stride_x * s->in_pixel;
                sums[p] = floats_fma(depthwise_f32_load(pixel, channel, s->multiplier), weight, sums[p]);
            }
        }
    UNROLL for (int p = 0; p < pixels; p++)
        floats_store_some(out + p * s->out_pixel + channel,
                          floats_min(floats_max(sums[p], low), high), s->channels - channel);
}

/* A row of pixels, one vector of channels. */
INLINE void depthwise_f32_row(const float *in, float *out, const float *weights, const float *bias,
                              const struct depthwise_f32 *s, int channel)
{
    const int length = tile_length(s->width, FLOAT_PIXELS), shorter = length - 1;
    const int step = s->stride_x * s->in_pixel;
    int x = 0;
    ROLL for (; x < length * tiles_of_length(s->width, length); x += length)
        depthwise_f32_tile(in + x * step, out + x * s->out_pixel, weights, bias, s, length, channel);
    ROLL for (; x < s->width; x += shorter)
        depthwise_f32_tile(in + x * step, out + x * s->out_pixel, weights, bias, s, shorter, channel);
}

INLINE void depthwise_f32(const float *in, float *out, const float *weights, const float *bias,
                          const struct depthwise_f32 *s)
{
    const int block = s->rows * s->columns * BLOCK;
    ROLL for (int y = 0; y < s->height; y++)
        ROLL for (int c = 0; c < s->channels; c += FLOATS)
            depthwise_f32_row(in + y * s->stride_y * s->in_row, out + y * s->out_row,
                              weights + c / BLOCK * block + c % BLOCK, bias, s, c);
}

/* Convolution of a picture, channels last: floats in, floats out.
 *
 * Weights lie in blocks of 16 output channels: [channels / 16][rows][runs][run][16]. A run is what
 * lies without a gap in a row of the kernel: all of it, or one pixel's channels where the kernel is
 * dilated or the picture has more channels than it reads. `in` points to where the first window
 * begins: what is around the picture is in the buffer, and holds zeros. */
#include "parts/store_f32.h"
#include "parts/tiles.h"

struct conv_f32 {
    int groups;                      /* of channels: each sees its own part of the input only */
    int height, width, channels;     /* of the output; channels of one group */
    int rows, runs, run;             /* of the kernel; a run in numbers */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    int pool_rows, pool_columns;     /* of these windows' places, the largest sum is the output's */
    float low, high;                 /* what the output is clipped to */
};

enum { CONV_F32_VECTORS = FLOAT_CHANNELS / FLOATS };

/* Some pixels beside one another, some vectors of channels: all sums stay in registers. */
INLINE void conv_f32_sums(floats sums[][CONV_F32_VECTORS], const float *in, const float *weights,
                          const float *bias, const struct conv_f32 *s, int pixels, int vectors)
{
    const int step = s->pool_columns * s->stride_x * s->in_pixel;
    FORGET(bias);
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            sums[p][v] = floats_load(bias + v * FLOATS);
    ROLL for (int y = 0; y < s->rows; y++) {
        ROLL for (int x = 0; x < s->runs; x++) {
            const float *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            ROLL for (int k = 0; k < s->run; k++, weights += BLOCK) {
                UNROLL for (int p = 0; p < pixels; p++) {
                    floats pixel = floats_all(at[p * step + k]);
                    UNROLL for (int v = 0; v < vectors; v++)
                        sums[p][v] = floats_fma(pixel, floats_load(weights + v * FLOATS), sums[p][v]);
                }
            }
        }
    }
}

INLINE void conv_f32_tile(const float *in, float *out, const float *weights, const float *bias,
                          const struct conv_f32 *s, int pixels, int vectors, int channels)
{
    const float *low = &s->low, *high = &s->high;
    floats sums[2 * FLOAT_PIXELS][CONV_F32_VECTORS], most[2 * FLOAT_PIXELS][CONV_F32_VECTORS];
    conv_f32_sums(most, in, weights, bias, s, pixels, vectors);
    ROLL for (int i = 1; i < s->pool_rows * s->pool_columns; i++) {
        const int y = i / s->pool_columns * s->stride_y, x = i % s->pool_columns * s->stride_x;
        conv_f32_sums(sums, in + y * s->in_row + x * s->in_pixel, weights, bias, s, pixels, vectors);
        UNROLL for (int p = 0; p < pixels; p++)
            UNROLL for (int v = 0; v < vectors; v++)
                most[p][v] = floats_max(most[p][v], sums[p][v]);
    }
    FORGET(low);
    FORGET(high);
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            floats_store_some(out + p * s->out_pixel + v * FLOATS,
                              floats_clip(most[p][v], *low, *high), channels - v * FLOATS);
}

#if defined(HALVES)
#include "parts/conv_half_f32.h"
#endif

/* A tile of one block: of half of it, where no more channels are left. */
INLINE void conv_f32_tile_of(const float *in, float *out, const float *weights, const float *bias,
                             const struct conv_f32 *s, int pixels, int channels)
{
    enum { VECTORS = CONV_F32_VECTORS };
#if defined(HALVES)
    if (channels <= HALVES) {
        conv_half_f32_tile(in, out, weights, bias, s, pixels, channels);
        return;
    }
#endif
    conv_f32_tile(in, out, weights, bias, s, pixels,
                  VECTORS > 1 && channels <= FLOAT_CHANNELS / 2 ? VECTORS / 2 : VECTORS, channels);
}

/* All pixels, some channels of one block. */
INLINE void conv_f32_block(const float *in, float *out, const float *weights, const float *bias,
                           const struct conv_f32 *s, int channels)
{
    const int most = channels <= FLOAT_CHANNELS / 2 ? 2 * FLOAT_PIXELS : FLOAT_PIXELS;
    const int length = tile_length(s->width, most), shorter = length - 1;
    const int step = s->pool_columns * s->stride_x * s->in_pixel;
    const int row = s->pool_rows * s->stride_y * s->in_row;
    ROLL for (int y = 0; y < s->height; y++, in += row, out += s->out_row) {
        int x = 0;
        ROLL for (; x < length * tiles_of_length(s->width, length); x += length)
            conv_f32_tile_of(in + x * step, out + x * s->out_pixel, weights, bias, s, length, channels);
        ROLL for (; x < s->width; x += shorter)
            conv_f32_tile_of(in + x * step, out + x * s->out_pixel, weights, bias, s, shorter, channels);
    }
}

INLINE void conv_f32_group(const float *in, float *out, const float *weights, const float *bias,
                           const struct conv_f32 *s)
{
    const int block = s->rows * s->runs * s->run * BLOCK, rest = s->channels % FLOAT_CHANNELS;
    int c = 0;
    ROLL for (; c + FLOAT_CHANNELS <= s->channels; c += FLOAT_CHANNELS)
        conv_f32_block(in, out + c, weights + c / BLOCK * block + c % BLOCK, bias + c, s, FLOAT_CHANNELS);
    if (rest > 0)
        conv_f32_block(in, out + c, weights + c / BLOCK * block + c % BLOCK, bias + c, s, rest);
}

INLINE void conv_f32(const float *in, float *out, const float *weights, const float *bias,
                     const struct conv_f32 *s)
{
    const int filled = (s->channels + BLOCK - 1) / BLOCK * BLOCK;
    const int size = s->rows * s->runs * s->run * filled, channels = s->in_pixel / s->groups;
    ROLL for (int g = 0; g < s->groups; g++)
        conv_f32_group(in + g * channels, out + g * s->channels, weights + g * size, bias + g * filled, s);
}

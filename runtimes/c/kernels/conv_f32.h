/* Convolution of a picture, channels last: floats in, floats out.
 *
 * Weights lie in blocks of 16 output channels: [channels / 16][rows][runs][run][16]. A run is what
 * lies without a gap in a row of the kernel: all of it, or one pixel's channels where the kernel is
 * dilated or the picture has more channels than it reads. `in` points to where the first window
 * begins: what is around the picture is in the buffer, and holds zeros. */
#include "simd.h"

struct conv_f32 {
    int height, width, channels;     /* of the output */
    int rows, runs, run;             /* of the kernel; a run in numbers */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

/* The last block may have fewer channels than a vector. */
INLINE void floats_store_some(float *to, floats value, int count)
{
    float all[FLOATS];
    if (count >= FLOATS) {
        floats_store(to, value);
    } else if (count > 0) {
        floats_store(all, value);
        memcpy(to, all, (size_t)count * sizeof *to);
    }
}

INLINE void conv_f32_tile(const float *in, float *out, const float *weights, const float *bias,
                          const struct conv_f32 *s, int pixels, int channels)
{
    enum { VECTORS = FLOAT_CHANNELS / FLOATS };
    const floats low = floats_all(s->low), high = floats_all(s->high);
    floats sums[FLOAT_PIXELS][VECTORS];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sums[p][v] = floats_load(bias + v * FLOATS);
    for (int y = 0; y < s->rows; y++) {
        for (int x = 0; x < s->runs; x++) {
            const float *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            for (int k = 0; k < s->run; k++, weights += BLOCK) {
                UNROLL for (int p = 0; p < pixels; p++) {
                    floats pixel = floats_all(at[p * s->stride_x * s->in_pixel + k]);
                    UNROLL for (int v = 0; v < VECTORS; v++)
                        sums[p][v] = floats_fma(pixel, floats_load(weights + v * FLOATS), sums[p][v]);
                }
            }
        }
    }
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            floats_store_some(out + p * s->out_pixel + v * FLOATS,
                              floats_min(floats_max(sums[p][v], low), high), channels - v * FLOATS);
}

INLINE void conv_f32(const float *in, float *out, const float *weights, const float *bias,
                     const struct conv_f32 *s)
{
    const int block = s->rows * s->runs * s->run * BLOCK;
    for (int c = 0; c < s->channels; c += FLOAT_CHANNELS) {
        const float *packed = weights + c / BLOCK * block + c % BLOCK;
        const int channels = s->channels % FLOAT_CHANNELS ? s->channels - c : FLOAT_CHANNELS;
        for (int y = 0; y < s->height; y++) {
            const float *row = in + y * s->stride_y * s->in_row;
            float *to = out + y * s->out_row + c;
            int x = 0;
            for (; x + FLOAT_PIXELS <= s->width; x += FLOAT_PIXELS)
                conv_f32_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                              bias + c, s, FLOAT_PIXELS, channels);
            for (; x + 2 <= s->width; x += 2)
                conv_f32_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                              bias + c, s, 2, channels);
            for (; x < s->width; x++)
                conv_f32_tile(row + x * s->stride_x * s->in_pixel, to + x * s->out_pixel, packed,
                              bias + c, s, 1, channels);
        }
    }
}

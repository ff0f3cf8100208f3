/* Convolution with a window of 3 x 3 and a stride of 1: floats in, floats out, by Winograd's minimal
 * filtering, with 16 products for 2 x 2 outputs where sums over the window take 36 (Lavin and Gray,
 * Fast Algorithms for Convolutional Neural Networks, 2015).
 *
 * What is read comes from winograd_in_f32. Weights are G g G', in blocks of 16 output channels:
 * [channels / 16][16][run][16]. */
#include "conv_f32.h"
#include "winograd_in_f32.h"

struct winograd_f32 {
    int height, width, channels;     /* rows and columns of windows: half of the output's */
    int run;                         /* channels of the input */
    int out_row, out_pixel;          /* steps to the next one, in numbers */
    float low, high;                 /* what the output is clipped to */
};

enum { WINOGRAD_VECTORS = FLOAT_CHANNELS / FLOATS };

/* One of the 16 numbers, for some windows beside one another. */
INLINE void winograd_sums(floats sums[][WINOGRAD_VECTORS], const float *in, const float *weights,
                          int run, int windows)
{
    floats sum[FLOAT_PIXELS][WINOGRAD_VECTORS];
    UNROLL for (int p = 0; p < windows; p++)
        UNROLL for (int v = 0; v < WINOGRAD_VECTORS; v++)
            sum[p][v] = floats_all(0);
    ROLL for (int k = 0; k < run; k++, weights += BLOCK)
        UNROLL for (int p = 0; p < windows; p++) {
            const floats number = floats_all(in[p * run + k]);
            UNROLL for (int v = 0; v < WINOGRAD_VECTORS; v++)
                sum[p][v] = floats_fma(number, floats_load(weights + v * FLOATS), sum[p][v]);
        }
    UNROLL for (int p = 0; p < windows; p++)
        UNROLL for (int v = 0; v < WINOGRAD_VECTORS; v++)
            sums[p][v] = sum[p][v];
}

/* A' of a column of four numbers, or of a row. */
INLINE void winograd_out_four(floats out[2], floats a, floats b, floats c, floats d)
{
    out[0] = floats_add(floats_add(a, b), c);
    out[1] = floats_sub(floats_sub(b, c), d);
}

/* The 2 x 2 outputs of one window: A' m A. */
INLINE void winograd_out(float *out, floats (*m)[FLOAT_PIXELS][WINOGRAD_VECTORS], int p, int v,
                         const float *bias, const struct winograd_f32 *s, int channels)
{
    const float *low = &s->low, *high = &s->high;
    floats columns[4][2], row[2];
    FORGET(low);
    FORGET(high);
    FORGET(bias);
    UNROLL for (int x = 0; x < 4; x++)
        winograd_out_four(columns[x], m[x][p][v], m[4 + x][p][v], m[8 + x][p][v], m[12 + x][p][v]);
    UNROLL for (int y = 0; y < 2; y++) {
        winograd_out_four(row, columns[0][y], columns[1][y], columns[2][y], columns[3][y]);
        UNROLL for (int x = 0; x < 2; x++)
            floats_store_some(out + y * s->out_row + x * s->out_pixel,
                              floats_clip(floats_add(row[x], floats_load(bias)), *low, *high), channels);
    }
}

INLINE void winograd_tile(const float *in, float *out, const float *weights, const float *bias,
                          const struct winograd_f32 *s, int windows, int channels)
{
    floats m[16][FLOAT_PIXELS][WINOGRAD_VECTORS];
    ROLL for (int i = 0; i < 16; i++)
        winograd_sums(m[i], in + i * s->width * s->run, weights + i * s->run * BLOCK, s->run, windows);
    ROLL for (int p = 0; p < windows; p++)
        UNROLL for (int v = 0; v < WINOGRAD_VECTORS; v++)
            winograd_out(out + 2 * p * s->out_pixel + v * FLOATS, m, p, v, bias + v * FLOATS, s,
                         channels - v * FLOATS);
}

/* One row of windows, some channels of one block. */
INLINE void winograd_row(const float *in, float *out, const float *weights, const float *bias,
                         const struct winograd_f32 *s, int channels)
{
    const int length = tile_length(s->width, FLOAT_PIXELS), shorter = length - 1;
    int x = 0;
    ROLL for (; x < length * tiles_of_length(s->width, length); x += length)
        winograd_tile(in + x * s->run, out + 2 * x * s->out_pixel, weights, bias, s, length, channels);
    ROLL for (; x < s->width; x += shorter)
        winograd_tile(in + x * s->run, out + 2 * x * s->out_pixel, weights, bias, s, shorter, channels);
}

INLINE void winograd_f32(const float *in, float *out, const float *weights, const float *bias,
                         const struct winograd_f32 *s)
{
    const int block = 16 * s->run * BLOCK, rest = s->channels % FLOAT_CHANNELS;
    ROLL for (int y = 0; y < s->height; y++, in += 16 * s->width * s->run, out += 2 * s->out_row) {
        int c = 0;
        ROLL for (; c + FLOAT_CHANNELS <= s->channels; c += FLOAT_CHANNELS)
            winograd_row(in, out + c, weights + c / BLOCK * block + c % BLOCK, bias + c, s, FLOAT_CHANNELS);
        if (rest > 0)
            winograd_row(in, out + c, weights + c / BLOCK * block + c % BLOCK, bias + c, s, rest);
    }
}

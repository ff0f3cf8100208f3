/* The sums of a convolution of a picture, channels last: unsigned bytes in, exact 32-bit integers out.
 *
 * Weights lie in blocks of 16 output channels: [channels / 16][rows][runs][run / 4][16][4]. A run is
 * what lies without a gap in a row of the kernel, filled up with weights of zero to a multiple of four:
 * up to three bytes behind it are read, and do not matter. `in` points to where the first window
 * begins: what is around the picture is in the buffer, and holds the zero point, which the bias has
 * taken off. */
#include "parts/dot_u8.h"
#include "parts/tiles.h"

enum { CONV_VECTORS = INT_CHANNELS / INTS };

struct conv_sums_u8 {
    int rows, runs, run;             /* of the kernel; a run in bytes, a multiple of four */
    int in_row, in_pixel;            /* from one of the kernel's pixels to the next, in bytes */
    int step;                        /* from one output pixel's window to the next, in bytes */
    int pairs_fit;                   /* two neighbouring weights times bytes always fit 16 bits */
};

#if defined(HELIUM)
#include "cpus/conv_sums_helium.h"
#else
/* Biases of some channels, as conv_sums_u8 wants them. */
INLINE const int32_t *conv_bias(int32_t *made, const int32_t *bias, const int8_t *weights, int run,
                                int vectors)
{
    (void)made, (void)weights, (void)run, (void)vectors;
    return bias;
}

/* Some pixels beside one another, some vectors of channels: all sums stay in registers. */
INLINE void conv_sums_u8(ints sums[][CONV_VECTORS], const uint8_t *in, const int8_t *weights,
                         const int32_t *bias, const struct conv_sums_u8 *s, int pixels, int vectors)
{
    FORGET(bias);
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            sums[p][v] = ints_load(bias + v * INTS);
    ROLL for (int y = 0; y < s->rows; y++)
        ROLL for (int x = 0; x < s->runs; x++) {
            const uint8_t *at = in + y * s->in_row + x * s->in_pixel;
            ROLL for (int k = 0; k < s->run; k += 4, weights += 4 * BLOCK)
                UNROLL for (int p = 0; p < pixels; p++) {
                    const four bytes = four_load(at + p * s->step + k);
                    UNROLL for (int v = 0; v < vectors; v++)
                        sums[p][v] = ints_dot_of(sums[p][v], bytes, weights_load(weights + v * 4 * INTS),
                                                 s->pairs_fit);
                }
        }
}
#endif

/* How many vectors so many channels of a block need. */
INLINE int conv_vectors(int channels)
{
    const int all = CONV_VECTORS;
    return all > 1 && channels <= INT_CHANNELS / 2 ? all / 2 : all;
}

/* How many pixels are computed together: twice as many, if there are half as many channels. */
INLINE int conv_pixels(int channels)
{
    return INT_PIXELS * CONV_VECTORS / conv_vectors(channels);
}

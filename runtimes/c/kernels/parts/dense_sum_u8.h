/* The sums of a fully connected layer: unsigned bytes in. Weights as those of conv_u8:
 * [channels / 16][run / 4][16][4]. */
#include "parts/conv_sums_u8.h"

enum { DENSE_VECTORS = CONV_VECTORS };

/* Four sums side by side: one alone would wait for each addition. */
INLINE void dense_u8_parts(ints *total, const uint8_t *in, const int8_t *weights,
                           const int32_t *bias, int run, int pairs_fit)
{
    enum { PARTS = 4 };
    ints sums[PARTS][DENSE_VECTORS];
    int k = 0;
    UNROLL for (int v = 0; v < DENSE_VECTORS; v++) {
        sums[0][v] = ints_load(bias + v * INTS);
        sums[1][v] = sums[2][v] = sums[3][v] = ints_none();
    }
    for (; k + 4 * PARTS <= run; k += 4 * PARTS, weights += 4 * PARTS * BLOCK)
        UNROLL for (int p = 0; p < PARTS; p++)
            UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
                sums[p][v] = ints_dot_of(sums[p][v], four_load(in + k + 4 * p),
                                         weights_load(weights + 4 * (p * BLOCK + v * INTS)), pairs_fit);
    for (; k < run; k += 4, weights += 4 * BLOCK)
        UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
            sums[0][v] = ints_dot_of(sums[0][v], four_load(in + k), weights_load(weights + 4 * v * INTS),
                                     pairs_fit);
    UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
        total[v] = ints_add(ints_add(sums[0][v], sums[1][v]), ints_add(sums[2][v], sums[3][v]));
}

/* Cores that add one number at a time do not wait, and have no registers for parts of sums. */
INLINE void dense_u8_sum(ints *total, const uint8_t *in, const int8_t *weights, const int32_t *bias,
                         int run, int pairs_fit)
{
    const struct conv_sums_u8 window = {1, 1, run, 0, 0, 0, pairs_fit};
    ints sums[1][CONV_VECTORS];
    int32_t own[INT_CHANNELS];
    if (INTS > 1) {
        dense_u8_parts(total, in, weights, bias, run, pairs_fit);
        return;
    }
    bias = conv_bias(own, bias, weights, run, CONV_VECTORS);
    conv_sums_u8(sums, in, weights, bias, &window, 1, CONV_VECTORS);
    UNROLL for (int v = 0; v < CONV_VECTORS; v++)
        total[v] = sums[0][v];
}

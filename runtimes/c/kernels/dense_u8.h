/* A fully connected layer: unsigned bytes in and out. */
#include "parts/dense_sum_u8.h"

struct dense_u8 {
    int channels, run;               /* numbers out; bytes in, filled up to a multiple of four */
    int pairs_fit;                   /* two neighbouring weights times bytes always fit 16 bits */
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

INLINE void dense_u8_block(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                           const float *factor, const struct dense_u8 *s, int channels)
{
    ints sums[DENSE_VECTORS];
    dense_u8_sum(sums, in, weights, bias, s->run, s->pairs_fit);
    UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
        ints_requantise_some(out + v * INTS, sums[v], factors_load(factor + v * INTS), s->low, s->high,
                             s->zero, channels - v * INTS);
}

INLINE void dense_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                     const float *factor, const struct dense_u8 *s)
{
    const int rest = s->channels % INT_CHANNELS;
    int c = 0;
    ROLL for (; c + INT_CHANNELS <= s->channels; c += INT_CHANNELS)
        dense_u8_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK * 4, bias + c,
                       factor + c, s, INT_CHANNELS);
    if (rest > 0)
        dense_u8_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK * 4, bias + c,
                       factor + c, s, rest);
}

/* A fully connected layer: unsigned bytes in, floats out. */
#include "parts/dense_sum_u8.h"

struct dense_u8_f32 {
    int channels, run;               /* numbers out; bytes in, filled up to a multiple of four */
    int pairs_fit;                   /* two neighbouring weights times bytes always fit 16 bits */
    float low, high;                 /* what the output is clipped to */
};

INLINE void dense_u8_f32_block(const uint8_t *in, float *out, const int8_t *weights, const int32_t *bias,
                               const float *factor, const struct dense_u8_f32 *s, int channels)
{
    ints sums[DENSE_VECTORS];
    dense_u8_sum(sums, in, weights, bias, s->run, s->pairs_fit);
    UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
        ints_scale_some(out + v * INTS, sums[v], factors_load(factor + v * INTS), s->low, s->high,
                        channels - v * INTS);
}

INLINE void dense_u8_f32(const uint8_t *in, float *out, const int8_t *weights, const int32_t *bias,
                         const float *factor, const struct dense_u8_f32 *s)
{
    const int rest = s->channels % INT_CHANNELS;
    int c = 0;
    ROLL for (; c + INT_CHANNELS <= s->channels; c += INT_CHANNELS)
        dense_u8_f32_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK * 4, bias + c,
                           factor + c, s, INT_CHANNELS);
    if (rest > 0)
        dense_u8_f32_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK * 4, bias + c,
                           factor + c, s, rest);
}

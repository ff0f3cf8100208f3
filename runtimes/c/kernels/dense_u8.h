/* A fully connected layer: unsigned bytes in and out. */
#include "dense_sum_u8.h"

struct dense_u8 {
    int channels, run;               /* numbers out; bytes in, filled up to a multiple of four */
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

INLINE void dense_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                     const float *factor, const struct dense_u8 *s)
{
    for (int c = 0; c < s->channels; c += INT_CHANNELS) {
        const int channels = s->channels % INT_CHANNELS ? s->channels - c : INT_CHANNELS;
        ints sums[DENSE_VECTORS];
        dense_u8_sum(sums, in, weights + c / BLOCK * s->run * BLOCK + c % BLOCK * 4, bias + c, s->run);
        UNROLL for (int v = 0; v < DENSE_VECTORS; v++)
            ints_requantise_some(out + c + v * INTS, sums[v], factors_load(factor + c + v * INTS),
                                 s->low, s->high, s->zero, channels - v * INTS);
    }
}

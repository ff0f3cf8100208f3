/* A fully connected layer: floats in, floats out. Weights as those of conv_f32: [channels / 16][run][16]. */
#include "conv_f32.h"

struct dense_f32 {
    int channels, run;               /* numbers out, numbers in */
    float low, high;
};

/* Four sums side by side: one alone would wait for each addition. */
INLINE void dense_f32_block(const float *in, float *out, const float *weights, const float *bias,
                            const struct dense_f32 *s, int channels)
{
    enum { VECTORS = FLOAT_CHANNELS / FLOATS, PARTS = 4 };
    const floats low = floats_all(s->low), high = floats_all(s->high);
    floats sums[PARTS][VECTORS];
    int k = 0;
    UNROLL for (int v = 0; v < VECTORS; v++) {
        sums[0][v] = floats_load(bias + v * FLOATS);
        sums[1][v] = sums[2][v] = sums[3][v] = floats_all(0);
    }
    for (; k + PARTS <= s->run; k += PARTS, weights += PARTS * BLOCK)
        UNROLL for (int p = 0; p < PARTS; p++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                sums[p][v] = floats_fma(floats_all(in[k + p]),
                                        floats_load(weights + p * BLOCK + v * FLOATS), sums[p][v]);
    for (; k < s->run; k++, weights += BLOCK)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sums[0][v] = floats_fma(floats_all(in[k]), floats_load(weights + v * FLOATS), sums[0][v]);
    UNROLL for (int v = 0; v < VECTORS; v++) {
        floats sum = floats_add(floats_add(sums[0][v], sums[1][v]),
                                floats_add(sums[2][v], sums[3][v]));
        floats_store_some(out + v * FLOATS, floats_min(floats_max(sum, low), high),
                          channels - v * FLOATS);
    }
}

INLINE void dense_f32(const float *in, float *out, const float *weights, const float *bias,
                      const struct dense_f32 *s)
{
    const int rest = s->channels % FLOAT_CHANNELS;
    int c = 0;
    ROLL for (; c + FLOAT_CHANNELS <= s->channels; c += FLOAT_CHANNELS)
        dense_f32_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK, bias + c, s,
                        FLOAT_CHANNELS);
    if (rest > 0)
        dense_f32_block(in, out + c, weights + c / BLOCK * s->run * BLOCK + c % BLOCK, bias + c, s, rest);
}

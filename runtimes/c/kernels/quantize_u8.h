/* Floats into unsigned bytes: QuantizeLinear. */
#include "parts/store_f32.h"

struct quantize_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    int zero;
    float scale;
};

/* What whole vectors hold of a row; gives how much that is. */
INLINE int quantize_u8_vectors(const float *in, uint8_t *out, int count, const struct quantize_u8 *s)
{
    int i = 0;
#if defined(FLOATS_OF_BYTES)
    ROLL for (; i + FLOATS <= count; i += FLOATS) {
        const floats value = floats_div(floats_load(in + i), floats_all(s->scale));
        floats_store_bytes(out + i, floats_clip(value, (float)-s->zero, (float)(255 - s->zero)), s->zero);
    }
#else
    (void)in, (void)out, (void)count, (void)s;
#endif
    return i;
}

INLINE void quantize_u8(const float *in, uint8_t *out, const struct quantize_u8 *s)
{
    const float low = (float)-s->zero, high = (float)(255 - s->zero);
    const int count = s->width * s->channels;
    for (int y = 0; y < s->height; y++, in += s->in_row, out += s->out_row)
        for (int i = quantize_u8_vectors(in, out, count, s); i < count; i++) {
            float value = in[i] / s->scale;
            value = value > low ? value : low;
            value = value < high ? value : high;
            out[i] = (uint8_t)(round_even(value) + s->zero);
        }
}

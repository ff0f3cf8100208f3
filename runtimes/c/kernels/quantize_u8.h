/* Floats into unsigned bytes: QuantizeLinear. */
#include "common.h"

struct quantize_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    int zero;
    float scale;
};

INLINE void quantize_u8(const float *in, uint8_t *out, const struct quantize_u8 *s)
{
    const float low = (float)-s->zero, high = (float)(255 - s->zero);
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            float value = in[y * s->in_row + i] / s->scale;
            value = value > low ? value : low;
            value = value < high ? value : high;
            out[y * s->out_row + i] = (uint8_t)(round_even(value) + s->zero);
        }
}

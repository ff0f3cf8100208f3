/* Unsigned bytes into floats: DequantizeLinear. */
#include "parts/common.h"

struct dequantize_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    int zero;
    float scale;
};

INLINE void dequantize_u8(const uint8_t *in, float *out, const struct dequantize_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++)
            out[y * s->out_row + i] = (float)(in[y * s->in_row + i] - s->zero) * s->scale;
}

/* Unsigned bytes into floats, with a scale and a zero point for each place along an axis. */
#include "parts/common.h"

struct dequantize_axis_u8 {
    int count, channels, inner;      /* axes before, the axis, and axes behind */
};

INLINE void dequantize_axis_u8(const uint8_t *in, float *out, const float *scale,
                               const int32_t *zero, const struct dequantize_axis_u8 *s)
{
    for (int i = 0; i < s->count; i++)
        for (int c = 0; c < s->channels; c++)
            for (int j = 0; j < s->inner; j++)
                *out++ = (float)(*in++ - zero[c]) * scale[c];
}

/* Floats into unsigned bytes, with a scale and a zero point for each place along an axis. */
#include "parts/common.h"

struct quantize_axis_u8 {
    int count, channels, inner;      /* axes before, the axis, and axes behind */
};

INLINE void quantize_axis_u8(const float *in, uint8_t *out, const float *scale, const int32_t *zero,
                             const struct quantize_axis_u8 *s)
{
    for (int i = 0; i < s->count; i++)
        for (int c = 0; c < s->channels; c++)
            for (int j = 0; j < s->inner; j++) {
                float value = *in++ / scale[c];
                value = value > (float)-zero[c] ? value : (float)-zero[c];
                value = value < (float)(255 - zero[c]) ? value : (float)(255 - zero[c]);
                *out++ = (uint8_t)(round_even(value) + zero[c]);
            }
}

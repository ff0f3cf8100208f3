/* Two pictures of the same size, added: unsigned bytes, each with a scale and a zero point.
 *
 * The arithmetic is that of ONNX Runtime's QLinearAdd, in its order: factors are the inputs' scales
 * over the output's, and the constant is what the three zero points come to. */
#include "common.h"

struct add_u8 {
    int height, width, channels;
    int in_row, other_row, out_row;  /* steps to the next row, in bytes */
    float in_factor, other_factor;
    float constant;
    int low, high;                   /* what the output is clipped to */
};

INLINE void add_u8(const uint8_t *in, const uint8_t *other, uint8_t *out, const struct add_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            float sum = s->constant + (float)in[y * s->in_row + i] * s->in_factor;
            sum = sum + (float)other[y * s->other_row + i] * s->other_factor;
            int whole = round_even(sum < -1e6f ? -1e6f : sum > 1e6f ? 1e6f : sum);
            whole = whole > s->low ? whole : s->low;
            out[y * s->out_row + i] = (uint8_t)(whole < s->high ? whole : s->high);
        }
}

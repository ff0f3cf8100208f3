/* Two tensors, multiplied: bytes, each with a scale and a zero point.
 *
 * The arithmetic is that of ONNX Runtime's QLinearMul on x86: the product is a whole number, and
 * the factor is the inputs' scales over the output's. What is repeated along an axis has a step of
 * 0 there. */
#include "common.h"

struct mul_u8 {
    int height, width, channels;
    int in_row, in_pixel, in_step;   /* steps to the next row, pixel and channel, in bytes */
    int other_row, other_pixel, other_step;
    int out_row, out_pixel;
    int in_zero, other_zero;         /* zero points of the inputs */
    float zero;                      /* that of the output */
    float factor;
    int low, high;                   /* what the output is clipped to */
};

INLINE uint8_t mul_u8_one(int in, int other, const struct mul_u8 *s)
{
    const int both = (in - s->in_zero) * (other - s->other_zero);
    float value = product((float)both, s->factor) + s->zero;
    value = value > -1e6f ? value : -1e6f;
    const int whole = round_even(value < 1e6f ? value : 1e6f);
    const int most = whole < s->high ? whole : s->high;
    return (uint8_t)(most > s->low ? most : s->low);
}

INLINE void mul_u8(const uint8_t *in, const uint8_t *other, uint8_t *out, const struct mul_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            const uint8_t *left = in + y * s->in_row + x * s->in_pixel;
            const uint8_t *right = other + y * s->other_row + x * s->other_pixel;
            uint8_t *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = 0; c < s->channels; c++)
                to[c] = mul_u8_one(left[c * s->in_step], right[c * s->other_step], s);
        }
}

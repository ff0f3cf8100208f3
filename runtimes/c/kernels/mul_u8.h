/* Two tensors, multiplied: bytes, each with a scale and a zero point.
 *
 * The arithmetic is that of ONNX Runtime's QLinearMul on x86: the product is a whole number, and
 * the factor is the inputs' scales over the output's. What is repeated along an axis has a step of
 * 0 there. */
#include "parts/store_f32.h"

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
    const int whole = round_even(product((float)both, s->factor) + s->zero);
    const int most = whole < s->high ? whole : s->high;
    return (uint8_t)(most > s->low ? most : s->low);
}

/* What whole vectors hold of numbers without gaps; gives how many these are. */
INLINE int mul_u8_vectors(const uint8_t *in, const uint8_t *other, uint8_t *out, int count,
                          const struct mul_u8 *s)
{
    int i = 0;
#if defined(FLOATS_OF_BYTES)
    const floats in_zero = floats_all((float)-s->in_zero), zero = floats_all(s->zero);
    const floats other_zero = floats_all((float)-s->other_zero), factor = floats_all(s->factor);
    const int last = s->in_step == 1 && s->other_step == 1 ? count - FLOATS : -1;
    ROLL for (; i <= last; i += FLOATS) {
        /* A float holds the product of two bytes: it is as exact as a whole number. The minimum keeps
           compilers from making one rounding of the next product and sum, as `product` does. */
        const floats both = floats_mul(floats_add(floats_bytes(in + i), in_zero),
                                       floats_add(floats_bytes(other + i), other_zero));
        const floats scaled_both = floats_min(floats_mul(both, factor), floats_all(FLT_MAX));
        const floats value = floats_add(scaled_both, zero);
        floats_store_bytes(out + i, floats_clip(value, (float)s->low, (float)s->high), 0);
    }
#else
    (void)in, (void)other, (void)out, (void)count, (void)s;
#endif
    return i;
}

INLINE void mul_u8(const uint8_t *in, const uint8_t *other, uint8_t *out, const struct mul_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            const uint8_t *left = in + y * s->in_row + x * s->in_pixel;
            const uint8_t *right = other + y * s->other_row + x * s->other_pixel;
            uint8_t *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = mul_u8_vectors(left, right, to, s->channels, s); c < s->channels; c++)
                to[c] = mul_u8_one(left[c * s->in_step], right[c * s->other_step], s);
        }
}

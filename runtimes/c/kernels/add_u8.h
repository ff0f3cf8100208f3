/* Two tensors, added: bytes, each with a scale and a zero point.
 *
 * The arithmetic is that of ONNX Runtime's QLinearAdd on x86, in its order: factors are the inputs'
 * scales over the output's, and the constant is what the three zero points come to. What is
 * repeated along an axis has a step of 0 there. */
#include "parts/fused.h"
#include "parts/store_f32.h"

struct add_u8 {
    int height, width, channels;
    int in_row, in_pixel, in_step;   /* steps to the next row, pixel and channel, in bytes */
    int other_row, other_pixel, other_step;
    int out_row, out_pixel;
    float in_factor, other_factor;
    float constant;
    int low, high;                   /* what the output is clipped to */
};

INLINE int add_u8_rounded(int in, int other, const struct add_u8 *s)
{
    float sum = fused((float)other, s->other_factor, s->constant);
    sum = fused((float)in, s->in_factor, sum);
    sum = sum > -1e6f ? sum : -1e6f;
    return round_even(sum < 1e6f ? sum : 1e6f);
}

#if defined(NO_FLOATS)
#include "parts/add_whole_u8.h"
#else
INLINE int add_u8_whole(int in, int other, const struct add_u8 *s)
{
    return add_u8_rounded(in, other, s);
}
#endif

INLINE uint8_t add_u8_one(int in, int other, const struct add_u8 *s)
{
    const int whole = add_u8_whole(in, other, s);
    const int most = whole < s->high ? whole : s->high;
    return (uint8_t)(most > s->low ? most : s->low);
}

/* What whole vectors hold of numbers without gaps; gives how many these are. */
INLINE int add_u8_vectors(const uint8_t *in, const uint8_t *other, uint8_t *out, int count,
                          const struct add_u8 *s)
{
    int i = 0;
#if defined(FLOATS_OF_BYTES)
    const floats in_factor = floats_all(s->in_factor), other_factor = floats_all(s->other_factor);
    const int last = s->in_step == 1 && s->other_step == 1 ? count - FLOATS : -1;
    ROLL for (; i <= last; i += FLOATS) {
        floats sum = floats_fma(floats_bytes(other + i), other_factor, floats_all(s->constant));
        sum = floats_fma(floats_bytes(in + i), in_factor, sum);
        floats_store_bytes(out + i, floats_clip(sum, (float)s->low, (float)s->high), 0);
    }
#else
    (void)in, (void)other, (void)out, (void)count, (void)s;
#endif
    return i;
}

INLINE void add_u8(const uint8_t *in, const uint8_t *other, uint8_t *out, const struct add_u8 *s)
{
    const int whole = s->in_pixel == s->channels && s->other_pixel == s->channels
                      && s->out_pixel == s->channels && s->in_step == 1 && s->other_step == 1;
    const int width = whole ? 1 : s->width, channels = whole ? s->width * s->channels : s->channels;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *left = in + y * s->in_row + x * s->in_pixel;
            const uint8_t *right = other + y * s->other_row + x * s->other_pixel;
            uint8_t *to = out + y * s->out_row + x * s->out_pixel;
            for (int c = add_u8_vectors(left, right, to, channels, s); c < channels; c++)
                to[c] = add_u8_one(left[c * s->in_step], right[c * s->other_step], s);
        }
}

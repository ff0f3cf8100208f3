/* Sums of bytes where NEON has no dot products: bytes 0 and 2, then 1 and 3 of the same four, 16 bits
 * wide. A byte times a signed byte fits in 16 bits; two such products are added to each lane. */
#if defined(__aarch64__)
enum { INTS = 4, INT_CHANNELS = 16, INT_PIXELS = 4 };
#else
enum { INTS = 4, INT_CHANNELS = 8, INT_PIXELS = 3 };
#endif

typedef int32x4_t ints;
INLINE ints ints_of(int32x4_t total) { return total; }
INLINE int32x4_t ints_total(ints sum) { return sum; }
INLINE ints ints_add(ints a, ints b) { return vaddq_s32(a, b); }

typedef struct { int16x8_t even, odd; } four;
INLINE four four_load(const uint8_t *from)
{
    const uint16x8_t pairs = vreinterpretq_u16_u8(neon_four(from));
    const four wide = {vreinterpretq_s16_u16(vandq_u16(pairs, vdupq_n_u16(255))),
                       vreinterpretq_s16_u16(vshrq_n_u16(pairs, 8))};
    return wide;
}

typedef four weights_of_four;
INLINE weights_of_four weights_load(const int8_t *from)
{
    const int16x8_t pairs = vreinterpretq_s16_s8(vld1q_s8(from));
    const weights_of_four wide = {vshrq_n_s16(vshlq_n_s16(pairs, 8), 8), vshrq_n_s16(pairs, 8)};
    return wide;
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    sum = vpadalq_s16(sum, vmulq_s16(pixels.even, weights.even));
    return vpadalq_s16(sum, vmulq_s16(pixels.odd, weights.odd));
}

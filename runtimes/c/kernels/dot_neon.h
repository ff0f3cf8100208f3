/* Sums of bytes where NEON has no dot products: a byte times a signed byte fits in 16 bits, and two
 * such products are added to 32 bits at once. Each channel's sum is held in two lanes. */
#if defined(__aarch64__)
enum { INTS = 4, INT_CHANNELS = 8, INT_PIXELS = 4 };
#else
enum { INTS = 4, INT_CHANNELS = 8, INT_PIXELS = 2 };
#endif

typedef struct { int32x4_t low, high; } ints; /* channels 0 and 1, 2 and 3 */

INLINE ints ints_split(int32x4_t sum)
{
    const int32x4x2_t parts = vzipq_s32(sum, vdupq_n_s32(0));
    const ints found = {parts.val[0], parts.val[1]};
    return found;
}
/* One lane for each channel. */
INLINE int32x4_t ints_total(ints sum)
{
    return vcombine_s32(vpadd_s32(vget_low_s32(sum.low), vget_high_s32(sum.low)),
                        vpadd_s32(vget_low_s32(sum.high), vget_high_s32(sum.high)));
}
INLINE ints ints_load(const int32_t *from) { return ints_split(vld1q_s32(from)); }
INLINE ints ints_none(void) { return ints_split(vdupq_n_s32(0)); }
INLINE ints ints_add(ints a, ints b)
{
    const ints sum = {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)};
    return sum;
}
INLINE ints ints_max(ints a, ints b)
{
    return ints_split(vmaxq_s32(ints_total(a), ints_total(b)));
}

typedef int16x8_t four;

/* Four neighbouring bytes as 16 bits each, twice. */
INLINE four four_load(const uint8_t *from)
{
    uint32_t bytes;
    memcpy(&bytes, from, 4);
    return vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes))));
}

typedef struct { int16x8_t low, high; } weights_of_four;

INLINE weights_of_four weights_load(const int8_t *from)
{
    const int8x16_t bytes = vld1q_s8(from);
    const weights_of_four wide = {vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes))};
    return wide;
}

/* Add the products of four pixels with four weights to each channel. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    sum.low = vpadalq_s16(sum.low, vmulq_s16(pixels, weights.low));
    sum.high = vpadalq_s16(sum.high, vmulq_s16(pixels, weights.high));
    return sum;
}

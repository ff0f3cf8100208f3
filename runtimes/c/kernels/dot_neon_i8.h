/* Sums of bytes where NEON has dot products: all 16 bytes of a vector at once. */
enum { INTS = 4, INT_CHANNELS = 16, INT_PIXELS = 4 };

typedef int32x4_t ints;

INLINE ints ints_load(const int32_t *from) { return vld1q_s32(from); }
INLINE ints ints_none(void) { return vdupq_n_s32(0); }
INLINE ints ints_add(ints a, ints b) { return vaddq_s32(a, b); }
INLINE ints ints_max(ints a, ints b) { return vmaxq_s32(a, b); }
INLINE int32x4_t ints_total(ints sum) { return sum; }

typedef int8x16_t weights_of_four;
INLINE weights_of_four weights_load(const int8_t *from) { return vld1q_s8(from); }

#if defined(__ARM_FEATURE_MATMUL_INT8)
typedef uint8x16_t four;

/* Four neighbouring bytes, in every lane. */
INLINE four four_load(const uint8_t *from)
{
    uint32_t bytes;
    memcpy(&bytes, from, 4);
    return vreinterpretq_u8_u32(vdupq_n_u32(bytes));
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    return vusdotq_s32(sum, pixels, weights);
}
#else
/* Here both sides must be signed. A pixel is its lower seven bits and 128 times the eighth. */
typedef struct { int8x16_t low, high; } four;

/* Four neighbouring bytes, in every lane. */
INLINE four four_load(const uint8_t *from)
{
    uint32_t bytes;
    four parts;
    memcpy(&bytes, from, 4);
    parts.low = vreinterpretq_s8_u32(vdupq_n_u32(bytes & 0x7f7f7f7fu));
    parts.high = vreinterpretq_s8_u32(vdupq_n_u32(bytes >> 1 & 0x40404040u));
    return parts;
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    sum = vdotq_s32(sum, pixels.low, weights);
    sum = vdotq_s32(sum, pixels.high, weights);
    return vdotq_s32(sum, pixels.high, weights);
}
#endif
